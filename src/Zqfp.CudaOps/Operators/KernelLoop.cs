
namespace Zqfp.CudaOps;

/// <summary>A kernel's loop, on the session's threads where that pays.</summary>
internal static class KernelLoop
{
    /// <summary>To hand work to other threads and to wait for them takes some microseconds, and longer on a busy machine.</summary>
    private const double LeastNanosecondsToShare = 15_000;

    /// <summary>A call from ONNX Runtime's threads takes some tens of nanoseconds, and working memory is borrowed in it.</summary>
    private const double LeastNanosecondsOfCall = 2_000;

    private const int LeastCalls = 32;

    /// <param name="context">The kernel's call.</param>
    /// <param name="count">Indices 0 .. count - 1 are run, each once.</param>
    /// <param name="body">The loop's body.</param>
    /// <param name="nanoseconds">What the whole loop takes about, on one core with wide vectors.</param>
    public static void Run<TBody>(in OrtKernelContext context, int count, TBody body, double nanoseconds)
        where TBody : struct, IParallelBody
    {
        if (nanoseconds >= LeastNanosecondsToShare)
        {
            // Short bodies share a call, as long as there are enough calls for many threads.
            int together = (int)Math.Clamp(LeastNanosecondsOfCall * count / nanoseconds, 1, Math.Max(1, count / LeastCalls));
            context.ParallelFor((count + together - 1) / together, new Group<TBody>(body, count, together));
            return;
        }
        for (int i = 0; i < count; i++)
        {
            body.Run(i);
        }
    }

    /// <summary>Indices that follow each other.</summary>
    private readonly struct Group<TBody>(TBody body, int count, int together) : IParallelBody
        where TBody : struct, IParallelBody
    {
        public void Run(int index)
        {
            int end = Math.Min((index + 1) * together, count);
            for (int i = index * together; i < end; i++)
            {
                body.Run(i);
            }
        }
    }
}
