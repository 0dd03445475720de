using System.Security.Cryptography;

namespace Zqfp.CudaOps;

/// <summary>
/// Compiled kernels on disk, one file per key. A file is the SHA-256 of the payload followed by the payload; a file whose
/// hash does not fit counts as absent. Writers put a temporary file in place by renaming, so readers never see half a file.
/// </summary>
internal sealed class KernelCache
{
    private readonly string _directory;

    /// <summary>Uses a folder, created on the first write.</summary>
    /// <param name="directory">The folder; null for <c>zqfp/kernels</c> under the user's cache folder.</param>
    public KernelCache(string? directory = null) => _directory = directory ?? DefaultDirectory();

    /// <summary>Reads an entry; null when absent or damaged.</summary>
    public byte[]? TryRead(string key)
    {
        try
        {
            byte[] file = File.ReadAllBytes(PathOf(key));
            if (file.Length <= SHA256.HashSizeInBytes)
            {
                return null;
            }

            ReadOnlySpan<byte> payload = file.AsSpan(SHA256.HashSizeInBytes);
            return SHA256.HashData(payload).AsSpan().SequenceEqual(file.AsSpan(0, SHA256.HashSizeInBytes)) ? payload.ToArray() : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Writes an entry. A folder that cannot be written to only costs the next start a compilation.</summary>
    public void Write(string key, ReadOnlySpan<byte> payload)
    {
        byte[] file = [.. SHA256.HashData(payload), .. payload];
        try
        {
            WholeFile.Write(PathOf(key), temporary => File.WriteAllBytes(temporary, file));
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
