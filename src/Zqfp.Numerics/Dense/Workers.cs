namespace Zqfp.Numerics;

/// <summary>Parallel loops over independent items; since no item sees another's result, the thread count cannot show.</summary>
/// <param name="Threads">Threads used at most.</param>
/// <param name="Cancellation">Stops between items.</param>
/// <param name="Device">What takes the costly steps of quantizing; null for the processor.</param>
internal readonly record struct Workers(int Threads, CancellationToken Cancellation, ILayerDevice? Device = null)
{
    /// <summary>As many threads as an option says.</summary>
    /// <param name="maxThreads">Threads used at most; 0 for one a processor.</param>
    /// <param name="cancellation">Stops between items.</param>
    /// <param name="device">What takes the costly steps of quantizing; null for the processor.</param>
    public static Workers Of(int maxThreads, CancellationToken cancellation, ILayerDevice? device = null) =>
        new(maxThreads == 0 ? Environment.ProcessorCount : maxThreads, cancellation, device);

    /// <summary>Runs <paramref name="body"/> for 0..count-1.</summary>
    public void For(int count, Action<int> body)
    {
        if (count > 1 && Threads > 1)
        {
            ParallelOptions options = Options;
            Run(() => Parallel.For(0, count, options, body));
            return;
        }

        for (int i = 0; i < count; i++)
        {
            Cancellation.ThrowIfCancellationRequested();
            body(i);
        }
    }

    /// <summary>The same with a scratch object for each thread, disposed at the end.</summary>
    public void For<TScratch>(int count, Func<TScratch> scratch, Action<int, TScratch> body)
        where TScratch : IDisposable
    {
        if (count > 1 && Threads > 1)
        {
            ParallelOptions options = Options;
            Run(() => Parallel.For(
                0,
                count,
                options,
                scratch,
                (i, _, local) =>
                {
                    body(i, local);
                    return local;
                },
                local => local.Dispose()));
            return;
        }

        using TScratch single = scratch();
        For(count, i => body(i, single));
    }

    private ParallelOptions Options => new() { MaxDegreeOfParallelism = Threads, CancellationToken = Cancellation };

    // An error of ours comes out as itself, not wrapped in an AggregateException.
    private static void Run(Action loop)
    {
        try
        {
            loop();
        }
        catch (AggregateException e) when (e.Flatten().InnerExceptions.OfType<ZqfpException>().FirstOrDefault() is { } inner)
        {
            throw new ZqfpException(inner.Code, inner.Message, inner.File, inner);
        }
    }
}
