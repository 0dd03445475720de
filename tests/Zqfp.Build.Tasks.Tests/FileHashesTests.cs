
namespace Zqfp.Build.Tasks.Tests;

public sealed class FileHashesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Cache => Path.Combine(_folder.Path, "files.cache");

    [Fact]
    public void Hashes_the_content() =>
        Assert.Equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            new FileHashes(Cache).Of(_folder.Write("a", "abc")));

    [Fact]
    public void A_missing_file_has_a_hash_of_its_own() =>
        Assert.Equal("missing", new FileHashes(Cache).Of(Path.Combine(_folder.Path, "nowhere")));

    [Fact]
    public void A_file_that_was_only_touched_keeps_its_hash()
    {
        string file = _folder.Write("a", "abc");
        string before = new FileHashes(Cache).Of(file);
        File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddHours(1));

        Assert.Equal(before, new FileHashes(Cache).Of(file));
    }

    [Fact]
    public void An_older_file_in_its_place_changes_the_hash()
    {
        string file = _folder.Write("a", "abc");
        var hashes = new FileHashes(Cache);
        string before = hashes.Of(file);
        hashes.Save();
        File.WriteAllText(file, "abd");
        File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddYears(-3));

        Assert.NotEqual(before, new FileHashes(Cache).Of(file));
    }

    [Fact]
    public void An_unchanged_file_is_not_read_again()
    {
        string file = _folder.Write("a", "abc");
        DateTime time = File.GetLastWriteTimeUtc(file);
        var hashes = new FileHashes(Cache);
        string before = hashes.Of(file);
        hashes.Save();
        File.WriteAllText(file, "abd");
        File.SetLastWriteTimeUtc(file, time);

        Assert.Equal(before, new FileHashes(Cache).Of(file));
    }

    [Fact]
    public void Saving_without_a_change_writes_nothing()
    {
        string file = _folder.Write("a", "abc");
        var first = new FileHashes(Cache);
        first.Of(file);
        first.Save();
        File.SetLastWriteTimeUtc(Cache, new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        var second = new FileHashes(Cache);
        second.Of(file);
        second.Save();

        Assert.Equal(2020, File.GetLastWriteTimeUtc(Cache).Year);
    }

    [Fact]
    public void A_damaged_cache_is_no_obstacle()
    {
        File.WriteAllText(Cache, "nonsense\n\t\n\0");

        Assert.Equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            new FileHashes(Cache).Of(_folder.Write("a", "abc")));
    }

    public void Dispose() => _folder.Dispose();
}
