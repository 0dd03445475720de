using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Zqfp.CudaOps;

/// <summary>
/// The inner loop of the product of one or two E4M3 tokens with E2M1 weights, one implementation per instruction set. A chunk's sum is
/// taken in integers, exactly, so that its order does not matter; then it becomes a float, and total = fma(sum, scale, total).
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

        .. Avx512BW.IsSupported && Vector512.IsHardwareAccelerated ? [new Avx512CodeMath()] : (CodeMath[])[],
    ];

    /// <summary>The implementation for this machine.</summary>
    public static CodeMath Best { get; } = All[^1];

    /// <summary>Up to so many tokens this is faster than <see cref="PairMath"/>, where that is the other way.</summary>
    public virtual int FewRows => 3;

    /// <summary>Bytes from a laid-out token to the next.</summary>
    /// <param name="layout">The columns.</param>
    public virtual int RowBytes(GroupLayout layout) => TokenDigits.RowBytes(layout);

    /// <summary>Lays out a token.</summary>
    /// <param name="codes">Its codes, laid out as the weights' columns are.</param>
    /// <param name="layout">The columns.</param>
    /// <param name="scale">Its scale.</param>
    /// <param name="token">Receives <see cref="RowBytes"/> bytes.</param>
    public virtual void Write(byte* codes, GroupLayout layout, float scale, byte* token) =>
        TokenDigits.Write(codes, layout, scale, token);

    /// <summary>The scale of a laid-out token, which comes first in it; NaN where a code is.</summary>
    public static float Scale(byte* token) => *(float*)token;

    /// <summary>The product of one token with a panel, decoded in registers: the weights are read once, and nothing else is.</summary>
    /// <param name="token">The laid-out token.</param>
    /// <param name="weights">The weights.</param>
    /// <param name="panel">Which panel.</param>
    /// <param name="totals">64 totals.</param>
    public abstract void MultiplyRow(byte* token, PackedWeights weights, int panel, float* totals);

    /// <summary>The same for two tokens.</summary>
    /// <param name="first">The first laid-out token.</param>
    /// <param name="second">The second.</param>
    /// <param name="weights">The weights.</param>
    /// <param name="panel">Which panel.</param>
    /// <param name="totals">64 totals of the first token, then those of the second.</param>
    public virtual void MultiplyTwo(byte* first, byte* second, PackedWeights weights, int panel, float* totals)
    {
        MultiplyRow(first, weights, panel, totals);
        MultiplyRow(second, weights, panel, totals + PackedWeights.PanelWidth);
    }
}
