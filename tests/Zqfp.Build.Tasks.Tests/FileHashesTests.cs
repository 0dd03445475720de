
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

    [Fact]
    public void A_cache_that_is_not_as_it_was_written_is_not_used()
    {
        string file = _folder.Write("a", "abc");
        var hashes = new FileHashes(Cache);
        string right = hashes.Of(file);
        hashes.Save();
        byte[] whole = File.ReadAllBytes(Cache);
        for (int i = 0; i < whole.Length; i++)
        {
            byte[] damaged = [.. whole];
            damaged[i] ^= 1;
            File.WriteAllBytes(Cache, damaged);
            Assert.Equal(right, new FileHashes(Cache).Of(file));
            File.WriteAllBytes(Cache, whole[..i]);
            Assert.Equal(right, new FileHashes(Cache).Of(file));
        }
    }

    [UnixFact]
    public void A_device_is_not_read_and_a_folder_is_no_data_file()
    {
        Assert.Equal(new FileHashes(Cache).Of(_folder.Write("empty", "")), new FileHashes(Cache).Of("/dev/zero"));
        Assert.Equal("missing", new FileHashes(Cache).OfFile(_folder.Path));
    }

    [Fact]
    public void What_killed_builds_left_of_the_cache_goes()
    {
        string old = $"{Cache}.{Guid.NewGuid():N}.tmp", fresh = $"{Cache}.{Guid.NewGuid():N}.tmp", other = Cache + ".tmp";
        Array.ForEach([old, fresh, other], file => File.WriteAllText(file, ""));
        Array.ForEach([old, other], file => File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddHours(-1)));
        var hashes = new FileHashes(Cache);
        hashes.Of(_folder.Write("a", "abc"));
        hashes.Save();
        Assert.Equal((false, true, true), (File.Exists(old), File.Exists(fresh), File.Exists(other)));
    }

    public void Dispose() => _folder.Dispose();
}
