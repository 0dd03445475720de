using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Zqfp.CudaOps;

/// <summary>The exponential function in float32, to a unit in the last place; .NET's own for vectors computes in float64.</summary>
internal static class Exponential
{
    // Arguments from 88.4 on, results above 2^127.5, give infinity; without a limit the exponent would run over.
    private const float Largest = 88.72f;

    // Results below 2^-126 are that.
    private const float Smallest = -87.33f;

    // Added and taken off again, it rounds to a whole number, which then is in the sum's low bits.
    private const float Rounder = 3 << 22;

    // The logarithm of 2 in two parts, whole multiples of the first of which are exact.
    private const float LogTwo = 0.693359375f, LogTwoRest = -2.12194440e-4f;

    /// <summary>e^x; NaN where x is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Of(Vector256<float> x)
    {
        // The second operand is what these give where one is NaN.
        x = Vector256.MinNative(Vector256.Create(Largest), Vector256.MaxNative(Vector256.Create(Smallest), x));
        Vector256<float> shifted = Vector256.FusedMultiplyAdd(x, Vector256.Create(1.44269504f), Vector256.Create(Rounder));
        Vector256<float> whole = shifted - Vector256.Create(Rounder);
        Vector256<float> rest = Vector256.FusedMultiplyAdd(whole, Vector256.Create(-LogTwo), x);
        rest = Vector256.FusedMultiplyAdd(whole, Vector256.Create(-LogTwoRest), rest);

        // (e^r - 1 - r) / r^2 between its values at five points of |r| <= log(2) / 2 (Chebyshev's), off by 1e-8 of e^r.
        var sum = Vector256.Create(0.0013926250f);
        sum = Vector256.FusedMultiplyAdd(sum, rest, Vector256.Create(0.0083632329f));
        sum = Vector256.FusedMultiplyAdd(sum, rest, Vector256.Create(0.0416665524f));
        sum = Vector256.FusedMultiplyAdd(sum, rest, Vector256.Create(0.1666657627f));
        sum = Vector256.FusedMultiplyAdd(sum, rest, Vector256.Create(0.5f));
        sum = Vector256.FusedMultiplyAdd(sum * rest, rest, rest) + Vector256<float>.One;
        Vector256<float> power = ((shifted.AsInt32() << 23) + Vector256<float>.One.AsInt32()).AsSingle();
        return sum * power;
    }
}
