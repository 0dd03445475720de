
namespace Zqfp.CudaOps.Tests;

public sealed class KernelCacheTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-cache").FullName;

    [Fact]
    public void Returns_what_was_written_and_nothing_else()
    {
        KernelCache cache = new(_folder);
        Assert.Null(cache.TryRead("a"));
        cache.Write("a", [1, 2, 3]);
        Assert.Equal([1, 2, 3], cache.TryRead("a"));
        Assert.Null(cache.TryRead("b"));
        Assert.Single(Directory.GetFiles(_folder));
    }

    [Fact]
    public void Treats_a_damaged_or_truncated_entry_as_absent()
    {
        KernelCache cache = new(_folder);
        cache.Write("a", [1, 2, 3]);
        byte[] file = File.ReadAllBytes(cache.PathOf("a"));
        File.WriteAllBytes(cache.PathOf("a"), file[..^1]);
        Assert.Null(cache.TryRead("a"));
        File.WriteAllBytes(cache.PathOf("a"), file[..8]);
        Assert.Null(cache.TryRead("a"));
    }

    [Fact]
    public void Survives_a_folder_it_cannot_write_to()
    {
        string file = Path.Combine(_folder, "file");
        File.WriteAllText(file, "");
        KernelCache cache = new(Path.Combine(file, "sub"));
        cache.Write("a", [1]);
        Assert.Null(cache.TryRead("a"));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
