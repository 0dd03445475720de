using System.Runtime.Intrinsics;

namespace Zqfp.CudaOps.Cpu;

/// <summary>The low-rank branch B (A x): A laid out as the columns of W are, B as the rows of W are.</summary>
internal sealed unsafe class LowRankBranch : IDisposable
{
    private const int Width = PackedWeights.PanelWidth;

    private readonly int _paddedColumns;
    private readonly int _paddedRank;
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
        _paddedColumns = layout.PaddedColumns;
        _paddedRank = (rank + 7) / 8 * 8;
        _a = new NativeBuffer((long)_paddedColumns * _paddedRank * sizeof(float));
        _b = new NativeBuffer((long)((rows + Width - 1) / Width) * Width * rank * sizeof(float));
        for (int column = 0; column < layout.Columns; column++)
        {
            int laidOut = layout.GroupStart(column / layout.GroupSize) + (column % layout.GroupSize);
            for (int i = 0; i < rank; i++)
            {
                _a.Floats[((long)laidOut * _paddedRank) + i] = a.Floats[((long)i * layout.Columns) + column];
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

    /// <summary>A x for one laid-out row of X; <see cref="Rank"/> results, room for the next multiple of 8.</summary>
    public void Project(float* x, float* results)
    {
        for (int part = 0; part < _paddedRank; part += 8)
        {
            float* a = _a.Floats + part;
            if (Vector256.IsHardwareAccelerated)
            {
                // Four sums, for a multiply-add takes four cycles. Padded columns come in eights, so the loop ends evenly.
                Vector256<float> s0 = Vector256<float>.Zero, s1 = s0, s2 = s0, s3 = s0;
                for (int column = 0; column < _paddedColumns; column += 4, a += 4 * (nint)_paddedRank)
                {
                    s0 = Vector256.FusedMultiplyAdd(Vector256.Create(x[column]), Vector256.Load(a), s0);
                    s1 = Vector256.FusedMultiplyAdd(Vector256.Create(x[column + 1]), Vector256.Load(a + _paddedRank), s1);
                    s2 = Vector256.FusedMultiplyAdd(Vector256.Create(x[column + 2]), Vector256.Load(a + (2 * _paddedRank)), s2);
                    s3 = Vector256.FusedMultiplyAdd(Vector256.Create(x[column + 3]), Vector256.Load(a + (3 * _paddedRank)), s3);
                }
                (s0 + s1 + (s2 + s3)).Store(results + part);
            }
            else
            {
                for (int i = 0; i < 8; i++)
                {
                    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
                    for (int column = 0; column < _paddedColumns; column += 4)
                    {
                        float* at = a + ((long)column * _paddedRank) + i;
                        s0 = MathF.FusedMultiplyAdd(x[column], at[0], s0);
                        s1 = MathF.FusedMultiplyAdd(x[column + 1], at[_paddedRank], s1);
                        s2 = MathF.FusedMultiplyAdd(x[column + 2], at[2 * _paddedRank], s2);
                        s3 = MathF.FusedMultiplyAdd(x[column + 3], at[3 * _paddedRank], s3);
                    }
                    results[part + i] = s0 + s1 + (s2 + s3);
                }
            }
        }
    }

    /// <summary>Floats that <see cref="Project"/> writes.</summary>
    public int ResultLength => _paddedRank;

    public void Dispose()
    {
        _a.Dispose();
        _b.Dispose();
    }
}
