namespace Zqfp.CudaOps;

/// <summary>How the product for experts on Hopper is cut into items of work. Each combination is compiled once.</summary>
/// <param name="Tokens">Rows of Y of an item: 8, 16, 32 or 64.</param>
/// <param name="Warpgroups">Warpgroups of a block that multiply, 64 rows of W each.</param>
/// <param name="CopyWarps">Warps of a block that copy tokens; one more asks for weights.</param>
/// <param name="Stages">Stages of 256 columns in flight.</param>
/// <param name="BlocksPerMultiprocessor">Blocks meant to run side by side on a multiprocessor.</param>
internal readonly record struct GroupedTile(int Tokens, int Warpgroups, int CopyWarps, int Stages, int BlocksPerMultiprocessor)
{
    private const int MostTurned = 16;

    /// <summary>Threads of a block.</summary>
    public int Threads => (Warpgroups * 128) + ((CopyWarps + 1) * 32);

    /// <summary>Static shared memory of a block, in bytes: barriers, a row's constants, rows that a block sorts, notes of items.</summary>
    public int StaticBytes
    {
        get
        {
            int few = ((SortedRows.FewRows + 1) * 16) + (SortedRows.FewRows * sizeof(int));
            int bytes = (Stages * 16) + (Warpgroups * 4 * 128) + few + ((Stages + 1) * Tokens * 8);
            return (bytes + 1023) / 1024 * 1024;
        }
    }

    /// <summary>Dynamic shared memory of a block, in bytes.</summary>
    public int SharedBytes(PackedLayout layout)
    {
        int stage = ((Tokens * PackedLayout.BlockColumns) + (Warpgroups * layout.BlockBytes) + 1023) / 1024 * 1024;
        return (Stages * stage) + (Warpgroups * 4 * Math.Min(Tokens, MostTurned) * 20 * sizeof(float));
    }

    /// <summary>The tile with as many stages as the multiprocessor's shared memory allows.</summary>
    /// <param name="layout">The weight of one expert.</param>
    /// <param name="sharedPerBlock">Largest dynamic shared memory of a block, in bytes (227 KB on Hopper).</param>
    /// <param name="most">Stages at most.</param>
    /// <exception cref="ArgumentException">There is no room for two, without which the kernel would wait for itself.</exception>
    public GroupedTile WithDeepestRing(PackedLayout layout, int sharedPerBlock, int most = 12)
    {
        int budget = ((sharedPerBlock + 1024) / BlocksPerMultiprocessor) - 1024;
        GroupedTile tile = this with { Stages = 1 };
        for (GroupedTile next = tile; next.Stages <= most && next.SharedBytes(layout) + next.StaticBytes <= budget;
            next = next with { Stages = next.Stages + 1 })
        {
            tile = next;
        }

        return tile.Stages > 1 ? tile : throw new ArgumentException(
            $"{sharedPerBlock} bytes of shared memory have no room for two stages of {this}.", nameof(sharedPerBlock));
    }

    /// <summary>The macros that compile the kernel.</summary>
    /// <param name="layout">The weight of one expert.</param>
    /// <param name="rank">Rank of the low-rank branch, rounded up to 8; 0 without one.</param>
    /// <param name="bias">Whether there is a bias.</param>
    /// <param name="output">Element type of Y.</param>
    public IReadOnlyList<string> Definitions(PackedLayout layout, int rank, bool bias, ElementKind output) =>
    [
        $"TOKENS={Tokens}", $"WARPGROUPS={Warpgroups}", $"COPY_WARPS={CopyWarps}", $"STAGES={Stages}",
        $"MIN_CTAS={BlocksPerMultiprocessor}", $"GROUP={layout.BlockGroup}", $"SCALED={(layout.FloatScales ? 1 : 0)}",
        $"RANK_BRANCH={(rank == 0 ? 0 : 1)}", $"BIAS={(bias ? 1 : 0)}", $"OUTPUT={output}",
    ];
}
