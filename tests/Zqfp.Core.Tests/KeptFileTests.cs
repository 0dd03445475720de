namespace Zqfp.Core.Tests;

public sealed class KeptFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private string File1 => Path.Combine(_folder, "a.kept");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(100_000)]
    public void Content_comes_back_as_it_was_written(int length)
    {
        byte[] content = Content(length);
        KeptFile.Write(File1, "kind", "key", content);
        Assert.Equal(content, KeptFile.Read(File1, "kind", "key"));
        Assert.True(KeptFile.Fits(File1, "kind", "key"));
        Assert.Equal(["a.kept"], Directory.GetFiles(_folder).Select(Path.GetFileName));
    }

    [Fact]
    public void A_file_of_another_kind_or_key_is_absent_and_reported()
    {
        KeptFile.Write(File1, "kind", "key", Content(10));
        List<string> unfit = [];
        Assert.Null(KeptFile.Read(File1, "other", "key", unfit.Add));
        Assert.Null(KeptFile.Read(File1, "kind", "other", unfit.Add));
        Assert.Equal([File1, File1], unfit);
    }

    [Fact]
    public void No_file_is_no_report()
    {
        Assert.Null(KeptFile.Read(File1, "kind", "key", _ => Assert.Fail("There is nothing to report.")));
        Assert.False(KeptFile.Fits(Path.Combine(_folder, "none", "x"), "kind", "key"));
    }

    [Fact]
    public void Every_altered_bit_every_cut_and_every_addition_makes_a_file_absent()
    {
        KeptFile.Write(File1, "kind", "key", Content(40));
        byte[] whole = File.ReadAllBytes(File1);
        for (int bit = 0; bit < 8 * whole.Length; bit++)
        {
            byte[] altered = [.. whole];
            altered[bit / 8] ^= (byte)(1 << (bit % 8));
            File.WriteAllBytes(File1, altered);
            Assert.Null(KeptFile.Read(File1, "kind", "key"));
        }

        for (int length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(File1, whole[..length]);
            Assert.Null(KeptFile.Read(File1, "kind", "key"));
        }

        File.WriteAllBytes(File1, [.. whole, 0]);
        Assert.False(KeptFile.Fits(File1, "kind", "key"));
        File.WriteAllBytes(File1, whole);
        Assert.True(KeptFile.Fits(File1, "kind", "key"));
    }

    [Fact]
    public void A_folder_in_the_place_of_a_file_is_absent()
    {
        Directory.CreateDirectory(File1);
        Assert.Null(KeptFile.Read(File1, "kind", "key"));
    }

    private static byte[] Content(int length)
    {
        byte[] content = new byte[length];
        new Random(length).NextBytes(content);
        return content;
    }
}
