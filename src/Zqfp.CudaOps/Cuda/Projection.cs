namespace Zqfp.CudaOps;

/// <summary>
/// How the fused kernel computes A xq itself, in the first blocks of its grid, while the others multiply: it is needed only in
/// their epilogue. Saves the token quantization from reading A once a token.
/// </summary>
internal static class Projection
{
    /// <summary>Tokens at least: fewer read A no more often in the quantization, and need not wait for each other.</summary>
    public const int LeastTokens = 8;

    /// <summary>Tokens at most.</summary>
    public const int MostTokens = 32;

    /// <summary>Ranks at most.</summary>
    public const int MostRanks = 64;

    /// <summary>Columns that a warp takes; the constant of the same meaning in projection.cuh.</summary>
    private const int WarpColumns = 8 * 32;

    /// <summary>Counters at the start of the working memory, of which some are used; all are zero between products.</summary>
    internal const int Counters = CounterBytes / sizeof(uint);

    /// <summary>Bytes of the counters, whole cache lines.</summary>
    internal const int CounterBytes = 128;

    /// <summary>Working memory for a batch of at most <see cref="MostTokens"/> tokens, in bytes.</summary>
    /// <param name="columns">K.</param>
    /// <param name="rank">Rank, rounded up to 8.</param>
    public static long Bytes(int columns, int rank) => CounterBytes + ((long)Splits(columns) * MostTokens * rank * sizeof(float));

    /// <summary>
    /// Whether it can serve a batch whose tokens are quantized already: for these the other way is a kernel of its own, and so
    /// it pays for a single token too.
    /// </summary>
    public static bool CanServe(int tokens, int rank) => tokens <= MostTokens && rank is > 0 and <= MostRanks;

    /// <summary>Whether it pays to serve a batch whose tokens could be multiplied with A while they are quantized.</summary>
    /// <param name="tokens">M.</param>
    /// <param name="rank">Rank, rounded up to 8.</param>
    public static bool Serves(int tokens, int rank) => tokens is >= LeastTokens and <= MostTokens && rank is > 0 and <= MostRanks;

    /// <summary>Blocks along x of a tile's grid that compute A xq.</summary>
    internal static int Blocks(int columns, int rank, GemmTile tile)
    {
        int warps = rank / 8 * Splits(columns);
        int warpsOfCluster = tile.Warpgroups * 4 * tile.Cluster;
        return (warps + warpsOfCluster - 1) / warpsOfCluster;
    }

    private static int Splits(int columns) => (columns + WarpColumns - 1) / WarpColumns;
}
