using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>A number format as the macros of <c>grid.cuh</c>.</summary>
internal static class GridDefinitions
{
    public static string[] Of(NumberFormat format) =>
    [
        $"BITS={format.Bits}", $"SHIFT={23 - format.MantissaBits}", $"MIN_EXPONENT={format.MinExponent}u",
        $"MAX_VALUE={BitConverter.SingleToUInt32Bits(format.MaxValue)}u", $"IS_INTEGER={(format.IsInteger ? 1 : 0)}",
    ];
}
