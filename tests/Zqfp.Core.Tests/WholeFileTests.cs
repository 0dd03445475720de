namespace Zqfp.Core.Tests;

public sealed class WholeFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private string Target => Path.Combine(_folder, "sub", "file");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_write_that_fails_leaves_the_old_content_and_nothing_else()
    {
        WholeFile.WriteText(Target, "old");
        Assert.Throws<IOException>(() => WholeFile.Write(Target, stream =>
        {
            stream.WriteByte(1);
            throw new IOException("full");
        }));
        Assert.Equal("old", File.ReadAllText(Target));
        Assert.Single(Directory.GetFileSystemEntries(Path.GetDirectoryName(Target)!));
    }

    [UnixFact]
    public void A_link_is_replaced_and_what_it_points_to_stays()
    {
        string other = Path.Combine(_folder, "other");
        File.WriteAllText(other, "other");
        Directory.CreateDirectory(Path.GetDirectoryName(Target)!);
        File.CreateSymbolicLink(Target, other);
        WholeFile.WriteText(Target, "new");
        Assert.Equal(("other", "new", null), (File.ReadAllText(other), File.ReadAllText(Target), new FileInfo(Target).LinkTarget));
    }

    [Fact]
    public void A_folder_in_the_place_of_the_file_is_an_error_and_leaves_nothing()
    {
        Directory.CreateDirectory(Target);
        Assert.ThrowsAny<SystemException>(() => WholeFile.WriteText(Target, "new"));
        Assert.Single(Directory.GetFileSystemEntries(Path.GetDirectoryName(Target)!));
    }

    [Fact]
    public void Names_of_temporaries_are_told_from_others()
    {
        Assert.True(NewFile.IsTemporary(Path.GetFileName(NewFile.TemporaryName(Target)), "file"));
        Assert.False(NewFile.IsTemporary(Path.GetFileName(NewFile.TemporaryName(Target)), "fil"));
        foreach (string other in (string[])["file.tmp", ".tmp", "file.0123456789abcdef0123456789ABCDEF.tmp",
            "file.g123456789abcdef0123456789abcdef.tmp"])
        {
            Assert.False(NewFile.IsTemporary(other), other);
        }
    }

    [Fact]
    public void What_a_killed_writer_left_of_the_file_goes_and_what_another_writes_now_stays()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Target)!);
        string[] old = [NewFile.TemporaryName(Target), NewFile.TemporaryName(Target + ".other")];
        string now = NewFile.TemporaryName(Target);
        foreach (string temporary in (string[])[.. old, now])
        {
            File.WriteAllText(temporary, "half");
            File.SetLastWriteTimeUtc(temporary, DateTime.UtcNow - (temporary == now ? TimeSpan.Zero : 2 * Leftovers.Shared));
        }

        WholeFile.WriteText(Target, "whole");
        Assert.Equal(
            new[] { Target, now, old[1] }.Order(StringComparer.Ordinal),
            Directory.GetFiles(Path.GetDirectoryName(Target)!).Order(StringComparer.Ordinal));
    }
}
