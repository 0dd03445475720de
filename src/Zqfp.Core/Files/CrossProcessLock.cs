using System.Security.Cryptography;
using System.Text;

namespace Zqfp;

/// <summary>
/// Held by one process of a user at a time. It is a locked file in the temporary folder: the system releases it when the process ends,
/// however it ends, and the file stays, for whoever removes it might remove another's.
/// </summary>
internal sealed class CrossProcessLock : IDisposable
{
    private readonly FileStream? _file;
    private readonly string? _note;

    private CrossProcessLock(FileStream? file, string? note = null) => (_file, _note) = (file, note);

    /// <summary>The file that stands for a name.</summary>
    public static string FilePath(string name) =>
        Path.Combine(
            Path.GetTempPath(), name.Length == 0 ? $"zqfp-{Environment.UserName}.lock" : $"zqfp-{Environment.UserName}-{name}.lock");

    /// <summary>The name of a lock that protects the file at <paramref name="path"/>.</summary>
    public static string NameOf(string path) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFullPath(path))))[..16];

    /// <summary>Waits for the lock.</summary>
    /// <param name="name">What is locked; empty for the work of this user as a whole.</param>
    /// <param name="pause">How long to wait between two attempts.</param>
    /// <param name="waiting">
    /// Called once when another process holds it, with what that said of itself; null where that cannot be read.
    /// </param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <param name="holder">What this process says of itself to those that wait; null for nothing.</param>
    /// <exception cref="OperationCanceledException">Cancellation was asked for meanwhile.</exception>
    public static CrossProcessLock Acquire(
        string name, TimeSpan pause, Action<string?> waiting, CancellationToken cancellation, string? holder = null)
    {
        string path = FilePath(name);
        string note = path + ".holder";
        for (bool told = false; ; told = true)
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
                return new CrossProcessLock(file, holder is not null && TryWrite(note, holder) ? note : null);
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
                waiting(TryRead(note));
            }

            cancellation.WaitHandle.WaitOne(pause);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // While the lock is held the note is this process's own.
        if (_note is not null)
        {
            TryDelete(_note);
        }

        _file?.Dispose();
    }

    // The note is a courtesy: where it cannot be written or read, everything else works as before.
    private static bool TryWrite(string path, string text)
    {
        try
        {
            WholeFile.WriteText(path, text);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string? TryRead(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
        }
    }
}
