using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Zqfp.CudaOps;

/// <summary>What the CPU offers to the operators.</summary>
internal static class CpuFeatures
{
    /// <summary>The instruction sets that the operators' inner loops are written for, as far as this CPU has them.</summary>
    public static IReadOnlyList<string> InstructionSets =>
    [
        .. Avx2.IsSupported ? ["AVX2"] : (string[])[],
        .. Fma.IsSupported ? ["FMA"] : (string[])[],
        .. Avx512F.IsSupported ? ["AVX-512"] : (string[])[],
        .. AdvSimd.IsSupported ? ["AdvSimd"] : (string[])[],
        .. Dp.IsSupported ? ["DotProd"] : (string[])[],
    ];

    /// <summary>
    /// Which implementation of the inner loops runs here: <c>AVX-512</c>, <c>AVX2</c> or <c>portable</c>; and that of products of codes, in
    /// integers for few tokens, where it is another: <c>AVX2 and AVX-VNNI</c>.
    /// </summary>
    public static string Kernels => Panels == Codes ? Panels : $"{Panels} and {Codes}";

    private static string Panels => PanelMath.Best switch
    {
        Avx512PanelMath => "AVX-512",
        Avx2PanelMath => "AVX2",
        _ => "portable",
    };

    private static string Codes => CodeMath.Best switch
    {
        Avx512CodeMath => "AVX-512",
        AvxVnniCodeMath => "AVX-VNNI",
        Avx2CodeMath => "AVX2",
        AdvSimdCodeMath => "AdvSimd with DotProd",
        _ => "portable",
    };
}
