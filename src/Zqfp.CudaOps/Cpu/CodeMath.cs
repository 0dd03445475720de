using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Zqfp.CudaOps;

/// <summary>
/// The inner loops of products of E4M3 tokens with E2M1 weights, one implementation per instruction set. A chunk's sum is taken in
/// integers, exactly, so that its order does not matter; then it becomes a float, and total = fma(sum, scale, total).
/// </summary>
internal abstract unsafe class CodeMath
{
    /// <summary>Every implementation that this machine can run, the fastest last; for tests of one against the other.</summary>
    public static IReadOnlyList<CodeMath> All { get; } =
    [
        new PortableCodeMath(),
        .. Dp.IsSupported && AdvSimd.Arm64.IsSupported ? [new AdvSimdCodeMath()] : (CodeMath[])[],
        .. Avx2.IsSupported ? [new Avx2CodeMath()] : (CodeMath[])[],
        .. AvxVnni.IsSupported ? [new AvxVnniCodeMath()] : (CodeMath[])[],
        .. Avx512BW.IsSupported && Vector512.IsHardwareAccelerated ? [new Avx512CodeMath(null)] : (CodeMath[])[],
        .. Avx512BW.IsSupported && Vector512.IsHardwareAccelerated && AvxVnni.IsSupported
            ? [new Avx512CodeMath(new AvxVnniCodeMath())] : (CodeMath[])[],
    ];

    /// <summary>The implementation for this machine.</summary>
    public static CodeMath Best { get; } = All[^1];

    /// <summary>
    /// Writes twice the weights and <see cref="TokenDigits.WeightOffset"/>, a byte each: for every eight columns four bytes of each of 64
    /// rows with the even columns, then as many with the odd ones.
    /// </summary>
    /// <param name="words">Packed words; <paramref name="columns"/> / 8 rows of 64.</param>
    /// <param name="columns">A multiple of 8.</param>
    /// <param name="decoded">The bytes.</param>
    public abstract void Decode(uint* words, int columns, byte* decoded);

    /// <summary>Multiplies tokens with a chunk's decoded columns and adds the sums to the totals, under their scales.</summary>
    /// <param name="chunk">The chunk in the tokens.</param>
    /// <param name="decoded">Its decoded columns.</param>
    /// <param name="scales">64 scales.</param>
    /// <param name="totals">64 totals for each token.</param>
    public abstract void Multiply(in TokenChunk chunk, byte* decoded, float* scales, float* totals);

    /// <summary>The product of one token with a panel, decoded in registers: the weights are read once, and nothing else is.</summary>
    /// <param name="token">The laid-out token.</param>
    /// <param name="weights">The weights.</param>
    /// <param name="panel">Which panel.</param>
    /// <param name="totals">64 totals.</param>
    public abstract void MultiplyRow(byte* token, PackedWeights weights, int panel, float* totals);
}
