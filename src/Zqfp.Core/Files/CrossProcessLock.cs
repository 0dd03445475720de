using System.Security.Cryptography;
using System.Text;

namespace Zqfp;

/// <summary>
/// Held by one process of a user at a time. It is a locked file in the temporary folder: the system releases it when the process ends,
/// however it ends, and the file stays, for whoever removes it might remove another's.
/// </summary>
public sealed class CrossProcessLock : IDisposable
{
    private readonly FileStream? _file;

    private CrossProcessLock(FileStream? file) => _file = file;

    /// <summary>The file that stands for a name.</summary>
    public static string FilePath(string name) =>
        Path.Combine(Path.GetTempPath(), name.Length == 0 ? $"zqfp-{Environment.UserName}.lock" : $"zqfp-{Environment.UserName}-{name}.lock");

    /// <summary>The name of a lock that protects the file at <paramref name="path"/>.</summary>
    public static string NameOf(string path) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFullPath(path))))[..16];

    /// <summary>Waits for the lock.</summary>
    /// <param name="name">What is locked; empty for the work of this user as a whole.</param>
    /// <param name="pause">How long to wait between two attempts.</param>
    /// <param name="waiting">Called once when another process holds it.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <exception cref="OperationCanceledException">Cancellation was asked for meanwhile.</exception>
    public static CrossProcessLock Acquire(string name, TimeSpan pause, Action waiting, CancellationToken cancellation)
    {
        string path = FilePath(name);
        for (bool told = false; ; told = true)
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                return new CrossProcessLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
            }
            catch (IOException) when (File.Exists(path))
            {
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // There is no place for a lock; side by side is better than not at all.
                return new CrossProcessLock(null);
            }

            if (!told)
            {
                waiting();
            }

            cancellation.WaitHandle.WaitOne(pause);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file?.Dispose();
}
