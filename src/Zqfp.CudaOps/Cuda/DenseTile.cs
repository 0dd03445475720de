namespace Zqfp.CudaOps;

/// <summary>How the product of many tokens with E4M3 weights is cut into blocks. Each combination is compiled once.</summary>
/// <param name="Features">Rows of W of a block: a multiple of 32, at most 256.</param>
internal readonly record struct DenseTile(int Features)
{
    /// <summary>Tokens of a block.</summary>
    public const int Tokens = 128;

    /// <summary>Tokens that are copied at a time.</summary>
    public const int BoxTokens = 16;

    /// <summary>Columns of a stage.</summary>
    public const int Columns = 128;

    /// <summary>Threads of a block: two warpgroups that multiply, and the producer's.</summary>
    public const int Threads = 384;

    private const int StaticShared = 1024;
    private const int MostStages = 8;

    private const int Warpgroups = 2;
    private const int MostStagedRank = 16;

    private int StageBytes => (Tokens + Features) * Columns;

    /// <summary>Whether the kernel takes layers of such a size: a matter of the copy engine and of whole vectors.</summary>
    /// <param name="rows">N.</param>
    /// <param name="columns">K.</param>
    public static bool Fits(int rows, int columns) => rows % 8 == 0 && columns % 16 == 0;

    /// <summary>Stages in flight: as many as a block's shared memory holds.</summary>
    /// <param name="sharedPerBlock">Largest dynamic shared memory of a block, in bytes.</param>
    public int Stages(int sharedPerBlock) =>
        Math.Min(MostStages, (sharedPerBlock - StaticShared - ConstantBytes(MostStagedRank, bias: true)) / StageBytes);

    /// <summary>Dynamic shared memory of a block, in bytes.</summary>
    /// <param name="sharedPerBlock">The largest there is.</param>
    /// <param name="rank">Rank of the low-rank branch, 0 without one.</param>
    /// <param name="bias">Whether there is a bias.</param>
    public int SharedBytes(int sharedPerBlock, int rank, bool bias) =>
        (Stages(sharedPerBlock) * StageBytes) + ConstantBytes(StagedRank(rank), bias);

    /// <summary>Tiles along the tokens.</summary>
    /// <param name="tokens">M.</param>
    public static int TokenTiles(int tokens) => (tokens + Tokens - 1) / Tokens;

    /// <summary>Tiles of a product.</summary>
    /// <param name="tokens">M.</param>
    /// <param name="rows">N.</param>
    public int Tiles(int tokens, int rows) => TokenTiles(tokens) * ((rows + Features - 1) / Features);

    /// <summary>The macros that compile the kernel for this tile.</summary>
    /// <param name="sharedPerBlock">Largest dynamic shared memory of a block, in bytes.</param>
    /// <param name="rank">Rank of the low-rank branch, 0 without one.</param>
    /// <param name="bias">Whether there is a bias.</param>
    /// <param name="output">Element type of Y.</param>
    public IReadOnlyList<string> Definitions(int sharedPerBlock, int rank, bool bias, ElementKind output) =>
    [
        $"FEATURES={Features}", $"STAGES={Stages(sharedPerBlock)}",
        $"RANK_BRANCH={(rank > 0 ? 1 : 0)}", $"STAGED_RANK={StagedRank(rank)}", $"BIAS={(bias ? 1 : 0)}", $"OUTPUT={output}",
    ];

    private static int StagedRank(int rank) => rank <= MostStagedRank ? rank : 0;

    /// <summary>What the epilogue reads: row scales, biases and rows of B, for each warpgroup.</summary>
    private int ConstantBytes(int stagedRank, bool bias) =>
        Warpgroups * Features * ((sizeof(float) * (bias ? 2 : 1)) + (stagedRank * 2));
}
