namespace Zqfp.CudaOps;

/// <summary>
/// Compiled kernels on disk, one <see cref="KeptFile"/> per key. A file that does not fit counts as absent.
/// </summary>
internal sealed class KernelCache
{
    private const string Kind = "compiled kernels";

    private readonly string _directory;

    /// <summary>Uses a folder, created on the first write.</summary>
    /// <param name="directory">The folder; null for <c>zqfp/kernels</c> under the user's cache folder.</param>
    public KernelCache(string? directory = null) => _directory = directory ?? DefaultDirectory();

    /// <summary>Reads an entry; null when absent or damaged.</summary>
    public byte[]? TryRead(string key) => KeptFile.Read(PathOf(key), Kind, key);

    /// <summary>Writes an entry. A folder that cannot be written to only costs the next start a compilation.</summary>
    public void Write(string key, ReadOnlySpan<byte> payload)
    {
        try
        {
            KeptFile.Write(PathOf(key), Kind, key, payload.ToArray());
            Leftovers.Remove(_directory, of: null, Leftovers.Shared);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Compiled kernels are not kept here.
        }
    }

    /// <summary>The file of a key.</summary>
    public string PathOf(string key) => Path.Combine(_directory, key + ".cubin");

    private static string DefaultDirectory()
    {
        string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        if (string.IsNullOrEmpty(cache))
        {
            cache = OperatingSystem.IsWindows()
                ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        }

        return Path.Combine(cache, "zqfp", "kernels");
    }
}
