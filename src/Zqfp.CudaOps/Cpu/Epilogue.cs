using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Zqfp.CudaOps;

/// <summary>What is done to a row of 64 totals before it is the output: y = Sx · (S · total + B (A x)) + bias.</summary>
internal static unsafe class Epilogue
{
    private const int Width = PackedWeights.PanelWidth;
    private const int Part = 32;

    /// <param name="totals">64 totals; the results take their place.</param>
    /// <param name="rowScales">64 scales S.</param>
    /// <param name="bias">64 values.</param>
    /// <param name="tokenScale">Sx.</param>
    /// <param name="projected">A x, or null without a low-rank branch.</param>
    /// <param name="b">The branch's B for these 64.</param>
    /// <param name="rank">r.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Apply(float* totals, float* rowScales, float* bias, float tokenScale, float* projected, float* b, int rank)
    {
        if (!Vector256.IsHardwareAccelerated)
        {
            ApplyPortably(totals, rowScales, bias, tokenScale, projected, b, rank);
            return;
        }
        Vector256<float> scale = Vector256.Create(tokenScale);
        for (int i = 0; i < Width; i += Part)
        {
            Vector256<float> low0 = Vector256<float>.Zero, low1 = low0, low2 = low0, low3 = low0;
            float* column = b + i;
            for (int r = 0; r < rank; r++, column += Width)
            {
                Vector256<float> value = Vector256.Create(projected[r]);
                low0 = Vector256.FusedMultiplyAdd(value, Vector256.Load(column), low0);
                low1 = Vector256.FusedMultiplyAdd(value, Vector256.Load(column + 8), low1);
                low2 = Vector256.FusedMultiplyAdd(value, Vector256.Load(column + 16), low2);
                low3 = Vector256.FusedMultiplyAdd(value, Vector256.Load(column + 24), low3);
            }
            Finish(low0, totals + i, rowScales + i, bias + i, scale);
            Finish(low1, totals + i + 8, rowScales + i + 8, bias + i + 8, scale);
            Finish(low2, totals + i + 16, rowScales + i + 16, bias + i + 16, scale);
            Finish(low3, totals + i + 24, rowScales + i + 24, bias + i + 24, scale);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(Vector256<float> low, float* totals, float* rowScales, float* bias, Vector256<float> tokenScale)
    {
        Vector256<float> sum = Vector256.FusedMultiplyAdd(Vector256.Load(totals), Vector256.Load(rowScales), low);
        Vector256.FusedMultiplyAdd(sum, tokenScale, Vector256.Load(bias)).Store(totals);
    }

    private static void ApplyPortably(float* totals, float* rowScales, float* bias, float tokenScale, float* projected, float* b, int rank)
    {
        for (int i = 0; i < Width; i++)
        {
            float low = 0;
            for (int r = 0; r < rank; r++)
            {
                low = MathF.FusedMultiplyAdd(projected[r], b[(r * Width) + i], low);
            }
            totals[i] = MathF.FusedMultiplyAdd(MathF.FusedMultiplyAdd(totals[i], rowScales[i], low), tokenScale, bias[i]);
        }
    }
}
