namespace Zqfp.Tool;

/// <summary>
/// Held while a model is quantized, so that the parallel builds of one user do one after the other instead of fighting over memory.
/// </summary>
internal static class QuantizationLock
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    /// <summary>Waits for the lock.</summary>
    /// <param name="waiting">Called once when another process holds it.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <exception cref="OperationCanceledException">Cancellation was asked for meanwhile.</exception>
    public static CrossProcessLock Acquire(Action waiting, CancellationToken cancellation) =>
        CrossProcessLock.Acquire(name: string.Empty, Pause, waiting, cancellation);
}
