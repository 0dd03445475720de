using System.Runtime.Intrinsics;

namespace Zqfp.CudaOps.Cpu;

/// <summary>What is done to a row of 64 totals before it is the output: y = Sx · (S · total + B (A x)) + bias.</summary>
internal static unsafe class Epilogue
{
    private const int Width = PackedWeights.PanelWidth;

    /// <param name="totals">64 totals; the results take their place.</param>
    /// <param name="rowScales">64 scales S.</param>
    /// <param name="bias">64 values.</param>
    /// <param name="tokenScale">Sx.</param>
    /// <param name="projected">A x, or null without a low-rank branch.</param>
    /// <param name="b">The branch's B for these 64.</param>
    /// <param name="rank">r.</param>
    public static void Apply(float* totals, float* rowScales, float* bias, float tokenScale, float* projected, float* b, int rank)
    {
        for (int i = 0; i < Width; i += 8)
        {
            if (Vector256.IsHardwareAccelerated)
            {
                Vector256<float> low = Vector256<float>.Zero;
                for (int r = 0; r < rank; r++)
                {
                    low = Vector256.FusedMultiplyAdd(Vector256.Create(projected[r]), Vector256.Load(b + (r * Width) + i), low);
                }
                Vector256<float> sum = Vector256.FusedMultiplyAdd(Vector256.Load(totals + i), Vector256.Load(rowScales + i), low);
                Vector256.FusedMultiplyAdd(sum, Vector256.Create(tokenScale), Vector256.Load(bias + i)).Store(totals + i);
            }
            else
            {
                for (int j = i; j < i + 8; j++)
                {
                    float low = 0;
                    for (int r = 0; r < rank; r++)
                    {
                        low = MathF.FusedMultiplyAdd(projected[r], b[(r * Width) + j], low);
                    }
                    totals[j] = MathF.FusedMultiplyAdd(MathF.FusedMultiplyAdd(totals[j], rowScales[j], low), tokenScale, bias[j]);
                }
            }
        }
    }
}
