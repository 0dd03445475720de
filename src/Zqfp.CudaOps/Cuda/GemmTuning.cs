namespace Zqfp.CudaOps;

/// <summary>Which tile the fused kernel runs with, from measurements on an H200 (docs/hopper.md).</summary>
internal static class GemmTuning
{
    private const int MostBlocks = 3;

    /// <summary>The tile for a layer and a number of tokens.</summary>
    /// <param name="context">The device.</param>
    /// <param name="layout">The weight.</param>
    /// <param name="tokens">M.</param>
    /// <param name="rank">Rank of the low-rank branch, rounded up to 8; 0 without one.</param>
    public static GemmTile Choose(CudaContext context, PackedLayout layout, int tokens, int rank = 0)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(layout);
        int width = tokens switch { <= 8 => 8, <= 16 => 16, <= 32 => 32, <= 64 => 64, _ => 128 };
        if (width == 128)
        {
            return Wide(context, layout, (tokens + 127) / 128).WithDeepestRing(layout, context.SharedMemoryPerBlock);
        }

        // Enough blocks to occupy every multiprocessor, no more, and only where each has a while to do: adding up over a cluster costs
        // about a microsecond.
        int cluster = 1, leastColumns = width == 8 ? 16 : 8;
        while (cluster < 4 && layout.ColumnBlocks > leastColumns * cluster && layout.RowBlocks * cluster < context.Multiprocessors)
        {
            cluster *= 2;
        }

        // Two or three blocks side by side hide each other's waits. Clusters of four need slack to be placed.
        int wanted = ((layout.RowBlocks * cluster) + context.Multiprocessors - 1) / context.Multiprocessors;
        int blocks = cluster == 4 ? MostBlocks : Math.Clamp(wanted, 2, MostBlocks);
        int stages = width switch { 8 => 8, 16 => 6, _ => 16 };
        return new GemmTile(width, 1, cluster, 1, blocks, wanted > MostBlocks).WithDeepestRing(
            layout, context.SharedMemoryPerBlock, stages, rank);
    }

    /// <summary>Tiles of 128 tokens: bound by the tensor cores, so one block a multiprocessor, as tall as there is work for.</summary>
    private static GemmTile Wide(CudaContext context, PackedLayout layout, int tokenTiles)
    {
        const int Width = 128;
        int tall = (layout.RowBlocks + 1) / 2 * tokenTiles;
        if (tall * 5 >= context.Multiprocessors * 3)
        {
            return new GemmTile(Width, 2, 1, 1, 1, tall > context.Multiprocessors);
        }

        bool split = layout.ColumnBlocks > 1 && layout.RowBlocks * tokenTiles * 2 <= context.Multiprocessors;
        return new GemmTile(Width, 1, split ? 2 : 1, 1, 1, false);
    }
}
