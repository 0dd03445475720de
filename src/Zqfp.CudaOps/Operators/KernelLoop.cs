
namespace Zqfp.CudaOps;

/// <summary>A kernel's loop, on the session's threads where that pays.</summary>
internal static class KernelLoop
{
    /// <summary>To hand work to other threads and to wait for them takes some microseconds, and longer on a busy machine.</summary>
    private const double LeastNanosecondsToShare = 15_000;

    /// <param name="context">The kernel's call.</param>
    /// <param name="count">Indices 0 .. count - 1 are run, each once.</param>
    /// <param name="body">The loop's body.</param>
    /// <param name="nanoseconds">What the whole loop takes about, on one core with wide vectors.</param>
    public static void Run<TBody>(in OrtKernelContext context, int count, TBody body, double nanoseconds)
        where TBody : struct, IParallelBody
    {
        if (nanoseconds >= LeastNanosecondsToShare)
        {
            context.ParallelFor(count, body);
            return;
        }
        for (int i = 0; i < count; i++)
        {
            body.Run(i);
        }
    }
}
