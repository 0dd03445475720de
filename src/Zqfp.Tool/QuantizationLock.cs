namespace Zqfp.Tool;

/// <summary>
/// Held while a model is quantized, so that the parallel builds of one user do one after the other instead of fighting over memory. It is
/// a courtesy: correctness is the business of the outputs' own locks, and without a folder of this user for temporary files there is no
/// queue.
/// </summary>
internal static class QuantizationLock
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    /// <summary>Waits for the lock, and says on standard error whom for.</summary>
    /// <param name="output">What this process is about to write: others that wait are told.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <returns>The lock; null where there is no queue.</returns>
    /// <exception cref="OperationCanceledException">Cancellation was asked for meanwhile.</exception>
    public static CrossProcessLock? Acquire(string output, CancellationToken cancellation)
    {
        try
        {
            return Folder() is not { } folder ? null : CrossProcessLock.Acquire(
                Path.Combine(folder, "quantization" + CrossProcessLock.Extension),
                Pause,
                holder => Console.Error.WriteLine(PrintableText.Line(
                    $"{ProgressObserver.NotePrefix}Waiting for another quantization to end{(holder is null ? "" : $": {holder}")}.")),
                cancellation,
                $"process {Environment.ProcessId}, which writes '{Path.GetFullPath(output)}'");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>
    /// A folder that only this user can write in, so that nobody else can hold the queue; null where there can be none.
    /// </summary>
    private static string? Folder()
    {
        string temporary = Path.GetTempPath();
        if (!Directory.Exists(temporary))
        {
            return null;
        }

        string folder = Path.Combine(temporary, $"zqfp-{Environment.UserName}");
        if (OperatingSystem.IsWindows())
        {
            return Directory.CreateDirectory(folder).FullName;
        }

        DirectoryInfo made = Directory.CreateDirectory(folder, OwnerOnly);
        return made.LinkTarget is null && made.UnixFileMode == OwnerOnly ? folder : null;
    }
}
