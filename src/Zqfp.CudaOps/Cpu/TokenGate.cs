using System.Runtime.Intrinsics;

namespace Zqfp.CudaOps;

/// <summary>SiLU times another value, on the CPU.</summary>
internal static unsafe class TokenGate
{
    /// <summary>row = gate / (1 + exp(-gate)) * up, where row holds the gate.</summary>
    public static void Apply(float* row, float* up, int count)
    {
        int i = 0;
        for (; i <= count - Vector512<float>.Count; i += Vector512<float>.Count)
        {
            Vector512<float> gate = Vector512.Load(row + i);
            (gate / (Vector512<float>.One + Vector512.Exp(-gate)) * Vector512.Load(up + i)).Store(row + i);
        }

        for (; i < count; i++)
        {
            row[i] = row[i] / (1 + MathF.Exp(-row[i])) * up[i];
        }
    }
}
