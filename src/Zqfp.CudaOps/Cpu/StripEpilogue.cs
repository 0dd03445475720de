using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>
/// What <see cref="Epilogue"/> does, for a strip of W and many rows at once with wide vectors: what all rows share stays in registers.
/// </summary>
internal unsafe struct StripEpilogue
{
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

    /// <summary>Whether the machine has vectors that are worth it.</summary>
    public static bool IsSupported => Vector256.IsHardwareAccelerated;

    /// <summary>Writes the rows.</summary>
    public readonly void Apply()
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Apply512();
        }
        else
        {
            Apply256();
        }
    }

    /// <summary>Writes the rows, sixteen elements at a time.</summary>
    [MethodImpl(HotLoop.Options)]
    internal readonly void Apply512()
    {
        for (int i = 0; i < Count; i += Vector512<float>.Count)
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
                if (IsHalf)
                {
                    HalfConversion.ToHalf(result).Store((ushort*)Target(row) + i);
                }
                else
                {
                    result.Store((float*)Target(row) + i);
                }
            }
        }
    }

    /// <summary>Writes the rows, eight elements at a time.</summary>
    [MethodImpl(HotLoop.Options)]
    internal readonly void Apply256()
    {
        for (int i = 0; i < Count; i += Vector256<float>.Count)
        {
            Vector256<float> rowScales = Vector256.Load(RowScales + i), bias = Vector256.Load(Bias + i);
            float* total = Totals + i, projection = Projections;
            for (int row = 0; row < Rows; row++, total += Count, projection += ProjectionStride)
            {
                Vector256<float> low = Vector256<float>.Zero;
                float* column = B + i;
                for (int r = 0; r < Rank; r++, column += PackedWeights.PanelWidth)
                {
                    low = Vector256.FusedMultiplyAdd(Vector256.Create(projection[r]), Vector256.Load(column), low);
                }

                Vector256<float> sum = Vector256.FusedMultiplyAdd(Vector256.Load(total), rowScales, low);
                Vector256<float> result = Vector256.FusedMultiplyAdd(sum, Vector256.Create(TokenScales[row]), bias);
                if (IsHalf)
                {
                    HalfConversion.ToHalf(result).Store((ushort*)Target(row) + i);
                }
                else
                {
                    result.Store((float*)Target(row) + i);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly nint Target(int row) => Y + (nint)((Targets is null ? row : Targets[row]) * RowBytes);
}
