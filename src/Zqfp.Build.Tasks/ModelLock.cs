using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

namespace Zqfp.Build.Tasks;

/// <summary>
/// Held while a step of one model runs, so that two builds of one project do it once instead of both, one over what the other reads. The
/// system releases it when the process ends, however it ends. Where there can be no lock the step runs without: the tool has its own.
/// </summary>
internal sealed class ModelLock : IDisposable
{
    // EWOULDBLOCK of Linux and of macOS, ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION of Windows.
    private static readonly int[] HeldByAnother = [11, 35, unchecked((int)0x80070020), unchecked((int)0x80070021)];

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    private readonly FileStream? _file;

    private ModelLock(FileStream? file, bool hasWaited) => (_file, HasWaited) = (file, hasWaited);

    /// <summary>Whether another build held it before, and may have done what this one is about to do.</summary>
    public bool HasWaited { get; }

    /// <summary>Waits for the lock; null where the build was cancelled meanwhile.</summary>
    /// <param name="path">The file that is the lock.</param>
    /// <param name="log">Is told of the waiting.</param>
    /// <param name="isCancelled">Ends the waiting.</param>
    public static ModelLock? Acquire(string path, TaskLoggingHelper log, Func<bool> isCancelled)
    {
        for (bool hasWaited = false; ; hasWaited = true)
        {
            try
            {
                return new ModelLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None), hasWaited);
            }
            catch (IOException exception) when (HeldByAnother.Contains(exception.HResult))
            {
                if (!hasWaited)
                {
                    log.LogMessage(MessageImportance.High, "note: Waiting for another build of '{0}'.", Path.GetDirectoryName(path));
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                return new ModelLock(null, hasWaited);
            }

            if (isCancelled())
            {
                return null;
            }

            Thread.Sleep(Pause);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file?.Dispose();
}
