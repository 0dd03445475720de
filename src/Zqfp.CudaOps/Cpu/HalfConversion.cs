using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>float16 to float and back over whole rows, by integer arithmetic that no floating-point mode changes.</summary>
internal static unsafe class HalfConversion
{
    private const int InfinityBits = 0x7F800000;
    private const int NaNBits = 0x7FC00000;

    // 65504.
    private const int LargestBits = 0x477FE000;
    private const int ExponentShift = (127 - 15) << 23;
    private const int SmallestNormalBits = (127 - 14) << 23;
    private const float SubnormalUnit = 1f / (1 << 24);

    // Floats in [0.5, 1) are 2^-24 apart, which is the unit of subnormal halves: adding 0.5 rounds to it.
    private const float SubnormalRounder = 0.5f;

    /// <summary>Widens <paramref name="count"/> values, exactly.</summary>
    [MethodImpl(HotLoop.Options)]
    public static void ToSingle(Half* source, float* destination, int count)
    {
        int i = 0;
        if (Avx512F.IsSupported)
        {
            for (; i <= count - 16; i += 16)
            {
                Widen(Avx512F.ConvertToVector512Int32(Vector256.Load((ushort*)source + i))).Store(destination + i);
            }
        }
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
    [MethodImpl(HotLoop.Options)]
    public static void ToHalf(float* source, Half* destination, int count)
    {
        int i = 0;
        if (Avx512F.IsSupported)
        {
            for (; i <= count - 16; i += 16)
            {
                ToHalf(Vector512.Load(source + i)).Store((ushort*)destination + i);
            }
        }
        if (Vector256.IsHardwareAccelerated)
        {
            for (; i <= count - 8; i += 8)
            {
                ToHalf(Vector256.Load(source + i)).Store((ushort*)destination + i);
            }
        }
        for (; i < count; i++)
        {
            destination[i] = (Half)source[i];
        }
    }

    /// <summary>Makes of <paramref name="count"/> values what they are when they are narrowed and widened again.</summary>
    [MethodImpl(HotLoop.Options)]
    public static void Round(float* values, int count)
    {
        int i = 0;
        if (Vector512.IsHardwareAccelerated)
        {
            for (; i <= count - 16; i += 16)
            {
                Rounded(Vector512.Load(values + i)).Store(values + i);
            }
        }
        if (Vector256.IsHardwareAccelerated)
        {
            for (; i <= count - 8; i += 8)
            {
                Rounded(Vector256.Load(values + i)).Store(values + i);
            }
        }
        for (; i < count; i++)
        {
            values[i] = (float)(Half)values[i];
        }
    }

    /// <summary>Narrows sixteen values as <see cref="ToHalf(float*, Half*, int)"/> does.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<ushort> ToHalf(Vector512<float> values) => Avx512F.ConvertToVector256UInt16(Narrow(values).AsUInt32());

    /// <summary>Narrows eight values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<ushort> ToHalf(Vector256<float> values)
    {
        Vector256<int> narrow = Narrow(values);
        return Vector128.Narrow(narrow.GetLower().AsUInt32(), narrow.GetUpper().AsUInt32());
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(Vector512<int> half)
    {
        Vector512<int> magnitude = half & Vector512.Create(0x7FFF);
        Vector512<int> normal = Vector512.ShiftLeft(magnitude, 13) + Vector512.Create(ExponentShift);
        Vector512<int> special = normal + Vector512.Create(ExponentShift);
        Vector512<int> subnormal = (Vector512.ConvertToSingle(magnitude) * SubnormalUnit).AsInt32();
        Vector512<int> value = Vector512.ConditionalSelect(Vector512.LessThan(magnitude, Vector512.Create(0x0400)), subnormal, normal);
        value = Vector512.ConditionalSelect(Vector512.LessThan(magnitude, Vector512.Create(0x7C00)), value, special);
        return (value | Vector512.ShiftLeft(half & Vector512.Create(0x8000), 16)).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Narrow(Vector512<float> value)
    {
        Vector512<int> bits = value.AsInt32();
        Vector512<int> magnitude = bits & Vector512.Create(int.MaxValue);
        Vector512<int> odd = Vector512.ShiftRightLogical(magnitude, 13) & Vector512<int>.One;
        Vector512<int> normal = Vector512.ShiftRightArithmetic(magnitude - Vector512.Create(ExponentShift - 0xFFF) + odd, 13);
        Vector512<int> subnormal = (magnitude.AsSingle() + Vector512.Create(SubnormalRounder)).AsInt32()
            - Vector512.Create(SubnormalRounder).AsInt32();
        Vector512<int> half = Vector512.ConditionalSelect(
            Vector512.LessThan(magnitude, Vector512.Create(SmallestNormalBits)), subnormal,
            Vector512.Min(normal, Vector512.Create(0x7C00)));
        half = Vector512.ConditionalSelect(Vector512.GreaterThan(magnitude, Vector512.Create(InfinityBits)),
            Vector512.Create(0x7E00), half);
        return half | (Vector512.ShiftRightLogical(bits, 16) & Vector512.Create(0x8000));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Rounded(Vector256<float> value)
    {
        Vector256<int> bits = value.AsInt32();
        Vector256<int> magnitude = bits & Vector256.Create(int.MaxValue);
        Vector256<int> odd = Vector256.ShiftRightLogical(magnitude, 13) & Vector256<int>.One;
        Vector256<int> normal = (magnitude + Vector256.Create(0xFFF) + odd) & Vector256.Create(~0x1FFF);
        Vector256<float> rounder = Vector256.Create(SubnormalRounder);
        Vector256<int> subnormal = (magnitude.AsSingle() + rounder - rounder).AsInt32();
        Vector256<int> rounded = Vector256.ConditionalSelect(
            Vector256.LessThan(magnitude, Vector256.Create(SmallestNormalBits)), subnormal,
            Vector256.ConditionalSelect(
                Vector256.GreaterThan(normal, Vector256.Create(LargestBits)), Vector256.Create(InfinityBits), normal));
        rounded = Vector256.ConditionalSelect(
            Vector256.GreaterThan(magnitude, Vector256.Create(InfinityBits)), Vector256.Create(NaNBits), rounded);
        return (rounded | (bits & Vector256.Create(int.MinValue))).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Rounded(Vector512<float> value)
    {
        Vector512<int> bits = value.AsInt32();
        Vector512<int> magnitude = bits & Vector512.Create(int.MaxValue);
        Vector512<int> odd = Vector512.ShiftRightLogical(magnitude, 13) & Vector512<int>.One;
        Vector512<int> normal = (magnitude + Vector512.Create(0xFFF) + odd) & Vector512.Create(~0x1FFF);
        Vector512<float> rounder = Vector512.Create(SubnormalRounder);
        Vector512<int> subnormal = (magnitude.AsSingle() + rounder - rounder).AsInt32();
        Vector512<int> rounded = Vector512.ConditionalSelect(
            Vector512.LessThan(magnitude, Vector512.Create(SmallestNormalBits)), subnormal,
            Vector512.ConditionalSelect(
                Vector512.GreaterThan(normal, Vector512.Create(LargestBits)), Vector512.Create(InfinityBits), normal));
        rounded = Vector512.ConditionalSelect(
            Vector512.GreaterThan(magnitude, Vector512.Create(InfinityBits)), Vector512.Create(NaNBits), rounded);
        return (rounded | (bits & Vector512.Create(int.MinValue))).AsSingle();
    }
}
