namespace Zqfp.Tool;

/// <summary>
/// Held while a model is quantized, so that the parallel builds of one user do one after the other instead of fighting over memory.
/// </summary>
internal static class QuantizationLock
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    /// <summary>Waits for the lock, and says on standard error whom for.</summary>
    /// <param name="output">What this process is about to write: others that wait are told.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <exception cref="OperationCanceledException">Cancellation was asked for meanwhile.</exception>
    public static CrossProcessLock Acquire(string output, CancellationToken cancellation) => CrossProcessLock.Acquire(
        name: string.Empty,
        Pause,
        holder => Console.Error.WriteLine($"Waiting for another quantization to end{(holder is null ? "" : $": {holder}")}."),
        cancellation,
        $"process {Environment.ProcessId}, which writes '{Path.GetFullPath(output)}'");
}
