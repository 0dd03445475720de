namespace Zqfp.Tool;

/// <summary>
/// Held while a model is quantized, so that the parallel builds of one user do one after the other instead of fighting over memory.
/// The system releases it when the process ends, however it ends.
/// </summary>
internal sealed class QuantizationLock : IDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    private readonly FileStream? _file;

    private QuantizationLock(FileStream? file) => _file = file;

    /// <summary>The file that is locked.</summary>
    public static string FilePath => Path.Combine(Path.GetTempPath(), $"zqfp-{Environment.UserName}.lock");

    /// <summary>Waits for the lock.</summary>
    /// <param name="waiting">Called once when another process holds it.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <exception cref="OperationCanceledException">Cancellation was asked for meanwhile.</exception>
    public static QuantizationLock Acquire(Action waiting, CancellationToken cancellation)
    {
        for (bool told = false; ; told = true)
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                return new QuantizationLock(new FileStream(FilePath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
            }
            catch (IOException) when (File.Exists(FilePath))
            {
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // There is no place for a lock; quantizing side by side is better than not at all.
                return new QuantizationLock(null);
            }

            if (!told)
            {
                waiting();
            }

            cancellation.WaitHandle.WaitOne(Pause);
        }
    }

    public void Dispose() => _file?.Dispose();
}
