using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Zqfp.CudaOps;

/// <summary>
/// Calls for weights that will be used soon, where the hardware's own prefetching does not look: from memory to the second-level cache well
/// ahead, and from there to the first just before.
/// </summary>
internal static unsafe class WeightStream
{
    private const int Line = 64 / sizeof(uint), Far = 12 * 1024 / sizeof(uint), Near = 1024 / sizeof(uint);

    /// <summary>Calls for what follows a row of 64 words.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void CallRow(uint* words)
    {
        Sse.Prefetch0(words + Near);
        Sse.Prefetch0(words + Near + Line);
        Sse.Prefetch0(words + Near + (2 * Line));
        Sse.Prefetch0(words + Near + (3 * Line));
        Sse.Prefetch1(words + Far);
        Sse.Prefetch1(words + Far + Line);
        Sse.Prefetch1(words + Far + (2 * Line));
        Sse.Prefetch1(words + Far + (3 * Line));
    }

    /// <summary>Calls for what follows sixteen words.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void CallLine(uint* words)
    {
        Sse.Prefetch0(words + Near);
        Sse.Prefetch1(words + Far);
    }
}
