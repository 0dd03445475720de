namespace Zqfp;

/// <summary>
/// Held by one process at a time: a locked file beside what it protects, wherever temporary files go and whoever runs the process. The
/// system releases it when the process ends, however it ends; the file goes with an orderly end, or with the next holder's.
/// </summary>
internal sealed class CrossProcessLock : IDisposable
{
    /// <summary>What stands behind the name of what is locked.</summary>
    public const string Extension = ".lock";

    private const string Note = ".holder";

    // EWOULDBLOCK of Linux and of macOS, ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION of Windows.
    private static readonly int[] HeldByAnother = [11, 35, unchecked((int)0x80070020), unchecked((int)0x80070021)];

    private readonly FileStream _file;
    private readonly string _note;

    private CrossProcessLock(FileStream file, string note) => (_file, _note) = (file, note);

    /// <summary>Waits for the lock.</summary>
    /// <param name="path">The file that is the lock. Its folder must be there.</param>
    /// <param name="pause">How long to wait between two attempts.</param>
    /// <param name="waiting">
    /// Called once when another process holds it, with what that said of itself; null where that cannot be read.
    /// </param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <param name="holder">What this process says of itself to those that wait; null for nothing.</param>
    /// <exception cref="IOException">The lock cannot be created: nobody waits for what cannot come.</exception>
    /// <exception cref="UnauthorizedAccessException">The lock may not be created.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for meanwhile.</exception>
    public static CrossProcessLock Acquire(
        string path, TimeSpan pause, Action<string?> waiting, CancellationToken cancellation, string? holder = null)
    {
        for (bool told = false; ; told = true)
        {
            cancellation.ThrowIfCancellationRequested();
            if (TryAcquire(path, holder) is { } taken)
            {
                return taken;
            }

            if (!told)
            {
                waiting(TryRead(Path.GetFullPath(path) + Note));
            }

            cancellation.WaitHandle.WaitOne(pause);
        }
    }

    /// <summary>Takes the lock where no other process holds it; null where one does.</summary>
    /// <inheritdoc cref="Acquire"/>
    public static CrossProcessLock? TryAcquire(string path, string? holder = null)
    {
        path = Path.GetFullPath(path);
        if (new FileInfo(path).LinkTarget is not null)
        {
            throw new IOException($"'{path}' is a link.");
        }

        try
        {
            // With these two options together .NET also makes sure that the file locked is the one that has the name now: a holder
            // before removed its own, and removing is part of holding.
            var file = new FileStream(
                path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose);
            OpenToEveryone(file);
            WriteNote(path + Note, holder);
            return new CrossProcessLock(file, path + Note);
        }
        catch (IOException e) when (HeldByAnother.Contains(e.HResult))
        {
            return null;
        }
        catch (UnauthorizedAccessException) when (OperatingSystem.IsWindows() && File.Exists(path))
        {
            // Another process is about to remove it.
            return null;
        }
    }

    /// <summary>Whether a process holds a lock just now. Where that cannot be told, none does.</summary>
    /// <param name="path">The file that is the lock.</param>
    public static bool IsHeld(string path)
    {
        try
        {
            // A lock that those who ask share: they must not take each other for the holder.
            new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 1).Dispose();
            return false;
        }
        catch (IOException e)
        {
            return HeldByAnother.Contains(e.HResult);
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // While the lock is held the note is this process's own.
        Leftovers.TryDelete(_note);
        _file.Dispose();
    }

    // Who may write in the folder may wait for the lock, and may take over what a killed process left, whoever started that.
    private static void OpenToEveryone(FileStream file)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        try
        {
            const UnixFileMode Everyone = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite
                | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;
            File.SetUnixFileMode(file.SafeFileHandle, Everyone);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Another user's, or a file system without modes.
        }
    }

    // The note is a courtesy: where it cannot be written or read, everything else works as before.
    private static void WriteNote(string path, string? text)
    {
        try
        {
            Leftovers.RemoveOf(path);
            if (text is null)
            {
                File.Delete(path);
            }
            else
            {
                WholeFile.WriteText(path, text);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
        }
    }

    private static string? TryRead(string path)
    {
        const int Longest = 4096;
        try
        {
            using var reader = new StreamReader(path);
            char[] text = new char[Longest];
            return new string(text, 0, reader.ReadBlock(text));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
