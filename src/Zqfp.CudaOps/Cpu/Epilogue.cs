using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>What is done to totals of a row before they are the output: y = Sx · (S · total + B (A x)) + bias.</summary>
internal static unsafe class Epilogue
{
    private const int Width = PackedWeights.PanelWidth;
    private const int Part = PackedWeights.PartWidth;

    /// <param name="totals">The totals.</param>
    /// <param name="count">How many, a multiple of 16.</param>
    /// <param name="rowScales">As many scales S.</param>
    /// <param name="bias">As many values.</param>
    /// <param name="tokenScale">Sx.</param>
    /// <param name="projected">A x, or null without a low-rank branch.</param>
    /// <param name="b">The branch's B for these; the next of its rows follows at a panel's width.</param>
    /// <param name="rank">r.</param>
    /// <param name="results">Receives the results; may be the totals.</param>
    [MethodImpl(HotLoop.Options)]
    public static void Apply(
        float* totals, int count, float* rowScales, float* bias, float tokenScale, float* projected, float* b, int rank, float* results)
    {
        if (!Vector256.IsHardwareAccelerated)
        {
            ApplyPortably(totals, count, rowScales, bias, tokenScale, projected, b, rank, results);
            return;
        }
        Vector256<float> scale = Vector256.Create(tokenScale);
        for (int i = 0; i < count; i += Part)
        {
            Vector256<float> low0 = Vector256<float>.Zero, low1 = low0;
            float* column = b + i;
            for (int r = 0; r < rank; r++, column += Width)
            {
                Vector256<float> value = Vector256.Create(projected[r]);
                low0 = Vector256.FusedMultiplyAdd(value, Vector256.Load(column), low0);
                low1 = Vector256.FusedMultiplyAdd(value, Vector256.Load(column + 8), low1);
            }
            Result(low0, totals + i, rowScales + i, bias + i, scale).Store(results + i);
            Result(low1, totals + i + 8, rowScales + i + 8, bias + i + 8, scale).Store(results + i + 8);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Result(
        Vector256<float> low, float* totals, float* rowScales, float* bias, Vector256<float> tokenScale)
    {
        Vector256<float> sum = Vector256.FusedMultiplyAdd(Vector256.Load(totals), Vector256.Load(rowScales), low);
        return Vector256.FusedMultiplyAdd(sum, tokenScale, Vector256.Load(bias));
    }

    private static void ApplyPortably(
        float* totals, int count, float* rowScales, float* bias, float tokenScale, float* projected, float* b, int rank, float* results)
    {
        for (int i = 0; i < count; i++)
        {
            float low = 0;
            for (int r = 0; r < rank; r++)
            {
                low = MathF.FusedMultiplyAdd(projected[r], b[(r * Width) + i], low);
            }
            results[i] = MathF.FusedMultiplyAdd(MathF.FusedMultiplyAdd(totals[i], rowScales[i], low), tokenScale, bias[i]);
        }
    }
}
