using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Zqfp.CudaOps;

/// <summary>float16 to float and back over whole rows, by integer arithmetic that no floating-point mode changes.</summary>
internal static unsafe class HalfConversion
{
    private const int InfinityBits = 0x7F800000;
    private const int ExponentShift = (127 - 15) << 23;
    private const int SmallestNormalBits = (127 - 14) << 23;
    private const float SubnormalUnit = 1f / (1 << 24);

    // Floats in [0.5, 1) are 2^-24 apart, which is the unit of subnormal halves: adding 0.5 rounds to it.
    private const float SubnormalRounder = 0.5f;

    /// <summary>Widens <paramref name="count"/> values, exactly.</summary>
    public static void ToSingle(Half* source, float* destination, int count)
    {
        int i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            for (; i <= count - 8; i += 8)
            {
                (Vector128<uint> low, Vector128<uint> high) = Vector128.Widen(Vector128.Load((ushort*)source + i));
                Widen(Vector256.Create(low, high).AsInt32()).Store(destination + i);
            }
        }
        for (; i < count; i++)
        {
            destination[i] = (float)source[i];
        }
    }

    /// <summary>Narrows <paramref name="count"/> values: to nearest, ties to even; overflow becomes infinity.</summary>
    public static void ToHalf(float* source, Half* destination, int count)
    {
        int i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            for (; i <= count - 8; i += 8)
            {
                Vector256<int> narrow = Narrow(Vector256.Load(source + i));
                Vector128.Narrow(narrow.GetLower().AsUInt32(), narrow.GetUpper().AsUInt32()).Store((ushort*)destination + i);
            }
        }
        for (; i < count; i++)
        {
            destination[i] = (Half)source[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Widen(Vector256<int> half)
    {
        Vector256<int> magnitude = half & Vector256.Create(0x7FFF);
        Vector256<int> normal = Vector256.ShiftLeft(magnitude, 13) + Vector256.Create(ExponentShift);
        Vector256<int> special = normal + Vector256.Create(ExponentShift);
        Vector256<int> subnormal = (Vector256.ConvertToSingle(magnitude) * SubnormalUnit).AsInt32();
        Vector256<int> value = Vector256.ConditionalSelect(Vector256.LessThan(magnitude, Vector256.Create(0x0400)), subnormal, normal);
        value = Vector256.ConditionalSelect(Vector256.LessThan(magnitude, Vector256.Create(0x7C00)), value, special);
        return (value | Vector256.ShiftLeft(half & Vector256.Create(0x8000), 16)).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Narrow(Vector256<float> value)
    {
        Vector256<int> bits = value.AsInt32();
        Vector256<int> magnitude = bits & Vector256.Create(int.MaxValue);
        Vector256<int> odd = Vector256.ShiftRightLogical(magnitude, 13) & Vector256<int>.One;
        Vector256<int> normal = Vector256.ShiftRightArithmetic(magnitude - Vector256.Create(ExponentShift - 0xFFF) + odd, 13);
        Vector256<int> subnormal = (magnitude.AsSingle() + Vector256.Create(SubnormalRounder)).AsInt32()
            - Vector256.Create(SubnormalRounder).AsInt32();
        Vector256<int> half = Vector256.ConditionalSelect(
            Vector256.LessThan(magnitude, Vector256.Create(SmallestNormalBits)), subnormal,
            Vector256.Min(normal, Vector256.Create(0x7C00)));
        half = Vector256.ConditionalSelect(Vector256.GreaterThan(magnitude, Vector256.Create(InfinityBits)),
            Vector256.Create(0x7E00), half);
        return half | (Vector256.ShiftRightLogical(bits, 16) & Vector256.Create(0x8000));
    }
}
