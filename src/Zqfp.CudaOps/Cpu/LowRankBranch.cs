namespace Zqfp.CudaOps;

/// <summary>The low-rank branch B (A x): A, where it is not taken before, and B with its rows packed as those of W.</summary>
internal sealed unsafe class LowRankBranch : IDisposable
{
    private const int Width = PackedWeights.PanelWidth;

    private readonly NativeBuffer _b;

    /// <param name="a">A; null where tokens come with their products with it.</param>
    /// <param name="b">[N, rank].</param>
    /// <param name="rank">r, at least 1.</param>
    /// <param name="rows">N.</param>
    public LowRankBranch(TokenFactor? a, NativeBuffer b, int rank, int rows)
    {
        A = a;
        Rank = rank;
        _b = new NativeBuffer((long)((rows + Width - 1) / Width) * Width * rank * sizeof(float));
        for (int row = 0; row < rows; row++)
        {
            for (int i = 0; i < rank; i++)
            {
                _b.Floats[((((long)row / Width * rank) + i) * Width) + (row % Width)] = b.Floats[((long)row * rank) + i];
            }
        }
    }

    /// <summary>A, or null where tokens come with their products with it.</summary>
    public TokenFactor? A { get; }

    /// <summary>r.</summary>
    public int Rank { get; }

    /// <summary>Floats from one token's A x to the next one's.</summary>
    public int ProjectionStride => A?.ResultLength ?? Rank;

    /// <summary>r values for each of a panel's 64 rows of W: 64 of the first, then 64 of the second, and so on.</summary>
    public float* B(int panel) => _b.Floats + ((long)panel * Rank * Width);

    public void Dispose()
    {
        A?.Dispose();
        _b.Dispose();
    }
}
