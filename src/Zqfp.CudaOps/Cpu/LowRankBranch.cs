namespace Zqfp.CudaOps;

/// <summary>The low-rank branch B (A x): A with its columns laid out as those of W, B with its rows packed as those of W.</summary>
internal sealed unsafe class LowRankBranch : IDisposable
{
    private const int Width = PackedWeights.PanelWidth;

    private readonly int _length;
    private readonly NativeBuffer _a;
    private readonly NativeBuffer _b;

    /// <param name="a">[rank, K].</param>
    /// <param name="b">[N, rank].</param>
    /// <param name="rank">r, at least 1.</param>
    /// <param name="rows">N.</param>
    /// <param name="layout">The columns.</param>
    public LowRankBranch(NativeBuffer a, NativeBuffer b, int rank, int rows, GroupLayout layout)
    {
        Rank = rank;
        _length = layout.RowStride;
        _a = new NativeBuffer((long)ResultLength * _length * sizeof(float));
        _b = new NativeBuffer((long)((rows + Width - 1) / Width) * Width * rank * sizeof(float));
        for (int column = 0; column < layout.Columns; column++)
        {
            int laidOut = layout.GroupStart(column / layout.GroupSize) + (column % layout.GroupSize);
            for (int i = 0; i < rank; i++)
            {
                _a.Floats[((long)i * _length) + laidOut] = a.Floats[((long)i * layout.Columns) + column];
            }
        }
        for (int row = 0; row < rows; row++)
        {
            for (int i = 0; i < rank; i++)
            {
                _b.Floats[((((long)row / Width * rank) + i) * Width) + (row % Width)] = b.Floats[((long)row * rank) + i];
            }
        }
    }

    /// <summary>r.</summary>
    public int Rank { get; }

    /// <summary>r values for each of a panel's 64 rows of W: 64 of the first, then 64 of the second, and so on.</summary>
    public float* B(int panel) => _b.Floats + ((long)panel * Rank * Width);

    /// <summary>A x for one laid-out row of X; writes <see cref="ResultLength"/> results, of which the first r count.</summary>
    public void Project(PanelMath math, float* x, float* results) => math.Project(x, _a.Floats, _length, ResultLength, results);

    /// <summary>Floats that <see cref="Project"/> writes.</summary>
    public int ResultLength => (Rank + 7) / 8 * 8;

    public void Dispose()
    {
        _a.Dispose();
        _b.Dispose();
    }
}
