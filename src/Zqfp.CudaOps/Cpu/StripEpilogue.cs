using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Zqfp.CudaOps;

/// <summary>
/// What <see cref="Epilogue"/> does, for a strip of W and many rows at once with vectors of 512 bits: what all rows share stays in
/// registers.
/// </summary>
internal unsafe struct StripEpilogue
{
    private const int Lanes = 16;

    /// <summary>Totals, <see cref="Count"/> for each row.</summary>
    public float* Totals;

    /// <summary>Rows of Y.</summary>
    public int Rows;

    /// <summary>Elements of each, a multiple of 16.</summary>
    public int Count;

    /// <summary>S of each element.</summary>
    public float* RowScales;

    /// <summary>The bias of each element.</summary>
    public float* Bias;

    /// <summary>Sx of each row.</summary>
    public float* TokenScales;

    /// <summary>A x of the first row, where there is a low-rank branch.</summary>
    public float* Projections;

    /// <summary>From one row's A x to the next one's.</summary>
    public int ProjectionStride;

    /// <summary>The branch's B for these elements; the next of its rows follows at a panel's width.</summary>
    public float* B;

    /// <summary>r, or 0.</summary>
    public int Rank;

    /// <summary>The first element of the first row of Y.</summary>
    public nint Y;

    /// <summary>Bytes from a row of Y to the next.</summary>
    public long RowBytes;

    /// <summary>Which row of Y each row makes; null where each makes its own.</summary>
    public int* Targets;

    /// <summary>Whether Y is float16.</summary>
    public bool IsHalf;

    /// <summary>Whether the machine has such vectors.</summary>
    public static bool IsSupported => Vector512.IsHardwareAccelerated;

    /// <summary>Writes the rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Apply()
    {
        for (int i = 0; i < Count; i += Lanes)
        {
            Vector512<float> rowScales = Vector512.Load(RowScales + i), bias = Vector512.Load(Bias + i);
            float* total = Totals + i, projection = Projections;
            for (int row = 0; row < Rows; row++, total += Count, projection += ProjectionStride)
            {
                Vector512<float> low = Vector512<float>.Zero;
                float* column = B + i;
                for (int r = 0; r < Rank; r++, column += PackedWeights.PanelWidth)
                {
                    low = Vector512.FusedMultiplyAdd(Vector512.Create(projection[r]), Vector512.Load(column), low);
                }

                Vector512<float> sum = Vector512.FusedMultiplyAdd(Vector512.Load(total), rowScales, low);
                Vector512<float> result = Vector512.FusedMultiplyAdd(sum, Vector512.Create(TokenScales[row]), bias);
                nint y = Y + (nint)((Targets is null ? row : Targets[row]) * RowBytes);
                if (IsHalf)
                {
                    HalfConversion.ToHalf(result).Store((ushort*)y + i);
                }
                else
                {
                    result.Store((float*)y + i);
                }
            }
        }
    }
}
