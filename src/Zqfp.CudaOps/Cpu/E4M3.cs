using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>
/// OCP FP8 E4M3: sign, 4 exponent bits (bias 7), 3 mantissa bits; no infinities, 0x7F and 0xFF are NaN, the largest value is
/// 448. Encoding rounds to nearest, ties to even, and saturates. The same as <see cref="NumberFormat.E4M3"/>, for
/// values that lie in registers.
/// </summary>
internal static class E4M3
{
    /// <summary>The largest finite value.</summary>
    public const float Max = 448;

    private const int NaNCode = 0x7F;
    private const int MaxCode = 0x7E;

    // The codes below 8 are multiples of 2^-9; adding 2^14 to a float rounds it to such a multiple in the low bits.
    private const float SubnormalUnit = 1f / 512;
    private const float SubnormalRounder = 16384;
    private const int SmallestNormalBits = (127 - 6) << 23;
    private const int ExponentShift = (127 - 7) << 23;

    /// <summary>The values of the 256 codes.</summary>
    public static ReadOnlySpan<float> Values => NumberFormat.E4M3.Values;

    /// <summary>The code of a value.</summary>
    public static byte Encode(float value)
    {
        int bits = BitConverter.SingleToInt32Bits(value);
        int magnitude = bits & int.MaxValue;
        int code;
        if (float.IsNaN(value))
        {
            code = NaNCode;
        }
        else if (magnitude < SmallestNormalBits)
        {
            float rounded = BitConverter.Int32BitsToSingle(magnitude) + SubnormalRounder;
            code = BitConverter.SingleToInt32Bits(rounded) - BitConverter.SingleToInt32Bits(SubnormalRounder);
        }
        else
        {
            int rounded = magnitude - ExponentShift + 0x7FFFF + ((magnitude >> 20) & 1);
            code = Math.Min(rounded >> 20, MaxCode);
        }
        return (byte)(code | ((bits >> 24) & 0x80));
    }

    /// <summary>The codes of eight values, one in each element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Encode(Vector256<float> value)
    {
        Vector256<int> bits = value.AsInt32();
        Vector256<int> magnitude = bits & Vector256.Create(int.MaxValue);
        Vector256<int> subnormal = (magnitude.AsSingle() + Vector256.Create(SubnormalRounder)).AsInt32()
            - Vector256.Create(SubnormalRounder).AsInt32();
        Vector256<int> odd = Vector256.ShiftRightLogical(magnitude, 20) & Vector256<int>.One;
        Vector256<int> normal = Vector256.ShiftRightArithmetic(magnitude - Vector256.Create(ExponentShift - 0x7FFFF) + odd, 20);
        Vector256<int> code = Vector256.ConditionalSelect(
            Vector256.LessThan(magnitude, Vector256.Create(SmallestNormalBits)), subnormal,
            Vector256.Min(normal, Vector256.Create(MaxCode)));
        code = Vector256.ConditionalSelect(Vector256.GreaterThan(magnitude, Vector256.Create(0x7F800000)), Vector256.Create(NaNCode), code);
        return code | (Vector256.ShiftRightLogical(bits, 24) & Vector256.Create(0x80));
    }

    /// <summary>The codes of sixteen values, one in each element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Encode(Vector512<float> value)
    {
        Vector512<int> bits = value.AsInt32();
        Vector512<int> magnitude = bits & Vector512.Create(int.MaxValue);
        Vector512<int> subnormal = (magnitude.AsSingle() + Vector512.Create(SubnormalRounder)).AsInt32()
            - Vector512.Create(SubnormalRounder).AsInt32();
        Vector512<int> odd = Vector512.ShiftRightLogical(magnitude, 20) & Vector512<int>.One;
        Vector512<int> normal = Vector512.ShiftRightArithmetic(magnitude - Vector512.Create(ExponentShift - 0x7FFFF) + odd, 20);
        Vector512<int> code = Vector512.ConditionalSelect(
            Vector512.LessThan(magnitude, Vector512.Create(SmallestNormalBits)), subnormal,
            Vector512.Min(normal, Vector512.Create(MaxCode)));
        code = Vector512.ConditionalSelect(Vector512.GreaterThan(magnitude, Vector512.Create(0x7F800000)), Vector512.Create(NaNCode), code);
        return code | (Vector512.ShiftRightLogical(bits, 24) & Vector512.Create(0x80));
    }

    /// <summary>The codes of sixteen values from 0 to 448, or so little more that they are nearest to that; one in each element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> EncodeMagnitude(Vector512<float> value)
    {
        Vector512<int> bits = value.AsInt32();
        Vector512<int> subnormal = (value + Vector512.Create(SubnormalRounder)).AsInt32() - Vector512.Create(SubnormalRounder).AsInt32();
        Vector512<int> odd = Vector512.ShiftRightLogical(bits, 20) & Vector512<int>.One;
        Vector512<int> normal = Vector512.ShiftRightArithmetic(bits - Vector512.Create(ExponentShift - 0x7FFFF) + odd, 20);
        return Vector512.ConditionalSelect(Vector512.LessThan(bits, Vector512.Create(SmallestNormalBits)), subnormal, normal);
    }

    /// <summary>The values of eight codes, one in each element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Decode(Vector256<int> code)
    {
        Vector256<int> magnitude = code & Vector256.Create(0x7F);
        Vector256<int> normal = Vector256.ShiftLeft(magnitude, 20) + Vector256.Create(ExponentShift);
        Vector256<int> subnormal = (Vector256.ConvertToSingle(magnitude) * SubnormalUnit).AsInt32();
        Vector256<int> value = Vector256.ConditionalSelect(Vector256.LessThan(magnitude, Vector256.Create(8)), subnormal, normal);
        value = Vector256.ConditionalSelect(Vector256.Equals(magnitude, Vector256.Create(NaNCode)),
            Vector256.Create(float.NaN).AsInt32(), value);
        return (value | Vector256.ShiftLeft(code & Vector256.Create(0x80), 24)).AsSingle();
    }

    /// <summary>The values of sixteen codes, one in each element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Decode(Vector512<int> code)
    {
        Vector512<int> magnitude = code & Vector512.Create(0x7F);
        Vector512<int> normal = Vector512.ShiftLeft(magnitude, 20) + Vector512.Create(ExponentShift);
        Vector512<int> subnormal = (Vector512.ConvertToSingle(magnitude) * SubnormalUnit).AsInt32();
        Vector512<int> value = Vector512.ConditionalSelect(Vector512.LessThan(magnitude, Vector512.Create(8)), subnormal, normal);
        value = Vector512.ConditionalSelect(Vector512.Equals(magnitude, Vector512.Create(NaNCode)),
            Vector512.Create(float.NaN).AsInt32(), value);
        return (value | Vector512.ShiftLeft(code & Vector512.Create(0x80), 24)).AsSingle();
    }
}
