namespace Zqfp.CudaOps;

/// <summary>How the fused product is cut into blocks. Each combination is compiled once.</summary>
/// <param name="Tokens">Tokens of a tile: 8, 16, 32, 64 or 128.</param>
/// <param name="Warpgroups">Warpgroups of a block that multiply, 64 rows each: 1, 2 or 4.</param>
/// <param name="Cluster">Blocks that share the columns and add up their sums: 1, 2, 4 or 8.</param>
/// <param name="Stages">Stages of 256 columns in flight.</param>
/// <param name="BlocksPerMultiprocessor">Blocks meant to run side by side on a multiprocessor.</param>
/// <param name="Persistent">Whether only as many blocks start as fit, each working through several row tiles.</param>
internal readonly record struct GemmTile(int Tokens, int Warpgroups, int Cluster, int Stages, int BlocksPerMultiprocessor, bool Persistent)
{
    private const int StaticShared = 1024;

    /// <summary>Rows of a block.</summary>
    public int Rows => Warpgroups * PackedLayout.BlockRows;

    /// <summary>Threads of a block: the multiplying warpgroups and the producer.</summary>
    public int Threads => (Warpgroups * 128) + (Tokens >= 128 ? 128 : 32);

    /// <summary>Whether the low-rank branch of such a rank goes through shared memory.</summary>
    /// <param name="rank">Rank, rounded up to 8.</param>
    public bool StagesLowRank(int rank) => rank is > 0 and <= 64 && Tokens <= 32;

    /// <summary>Dynamic shared memory of a block, in bytes.</summary>
    /// <param name="layout">The weight.</param>
    /// <param name="rank">Rank of the low-rank branch, rounded up to 8; 0 without one.</param>
    public int SharedBytes(PackedLayout layout, int rank = 0)
    {
        ArgumentNullException.ThrowIfNull(layout);
        int stage = ((Tokens * PackedLayout.BlockColumns) + (Warpgroups * layout.BlockBytes) + 1023) / 1024 * 1024;
        // Each warp turns 16 rows around in the epilogue: 20 floats a token; wide tiles 16 tokens at a time.
        int turned = Cluster == 1 && Tokens > 64 ? 16 : Tokens;
        int lowRank = StagesLowRank(rank) ? (Rows * ((rank * 2) + 16)) + (Tokens * ((rank * 4) + 16)) : 0;
        return (Stages * stage) + (Warpgroups * 4 * turned * 20 * sizeof(float)) + lowRank;
    }

    /// <summary>The tile with as many stages as the multiprocessor's shared memory and the work allow.</summary>
    /// <param name="layout">The weight.</param>
    /// <param name="sharedPerBlock">Largest dynamic shared memory of a block, in bytes (227 KB on Hopper).</param>
    /// <param name="most">Stages at most.</param>
    /// <param name="rank">Rank of the low-rank branch, rounded up to 8; 0 without one.</param>
    public GemmTile WithDeepestRing(PackedLayout layout, int sharedPerBlock, int most = 16, int rank = 0)
    {
        ArgumentNullException.ThrowIfNull(layout);
        int budget = ((sharedPerBlock + 1024) / BlocksPerMultiprocessor) - 1024 - StaticShared;
        GemmTile tile = this with { Stages = 1 };
        most = Persistent ? most : Math.Min(most, (layout.ColumnBlocks + Cluster - 1) / Cluster);
        while (tile.Stages < most && (tile with { Stages = tile.Stages + 1 }).SharedBytes(layout, rank) <= budget)
        {
            tile = tile with { Stages = tile.Stages + 1 };
        }

        return tile;
    }

    /// <summary>The macros that compile the kernel for this tile.</summary>
    internal IEnumerable<string> Definitions() =>
    [
        $"TOKENS={Tokens}", $"WARPGROUPS={Warpgroups}", $"CLUSTER={Cluster}", $"STAGES={Stages}", $"MIN_CTAS={BlocksPerMultiprocessor}",
    ];
}
