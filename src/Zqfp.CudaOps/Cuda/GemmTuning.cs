namespace Zqfp.CudaOps.Cuda;

/// <summary>Which tile the fused kernel runs with, from measurements on an H200 (docs/hopper.md).</summary>
public static class GemmTuning
{
    /// <summary>From this many tokens on, the two-pass path (expand, then cuBLASLt) is the faster one.</summary>
    public const int TwoPassTokens = 256;

    /// <summary>The tile for a layer and a number of tokens.</summary>
    /// <param name="context">The device.</param>
    /// <param name="layout">The weight.</param>
    /// <param name="tokens">M.</param>
    public static GemmTile Choose(CudaContext context, PackedLayout layout, int tokens)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(layout);
        int width = tokens switch { <= 8 => 8, <= 16 => 16, <= 32 => 32, <= 64 => 64, _ => 128 };
        int cluster = width == 128 ? 1 : 4;
        while (cluster > layout.ColumnBlocks)
        {
            cluster /= 2;
        }

        return new GemmTile(width, 2, cluster, 1, width >= 64 ? 1 : 2, false).WithDeepestRing(layout, context.SharedMemoryPerBlock);
    }
}
