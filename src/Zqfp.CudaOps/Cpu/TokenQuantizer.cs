using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Zqfp.CudaOps;

/// <summary>Token-wise FP8: one scale per row, its largest magnitude mapped to the largest code.</summary>
internal static unsafe class TokenQuantizer
{
    /// <summary>Quantizes one row.</summary>
    /// <param name="row">The values.</param>
    /// <param name="codes">Their E4M3 codes.</param>
    /// <param name="count">How many.</param>
    /// <returns>The scale: max|x| / 448, or 1 where that is zero. NaN in the row makes it NaN, and with it all the row.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Quantize(float* row, byte* codes, int count)
    {
        // Divided by, not multiplied with a reciprocal: the definition's rounding.
        float scale = Scale(LargestMagnitude(row, count), E4M3.Max);
        int i = 0;
        if (Avx512F.IsSupported)
        {
            Vector512<float> divisor = Vector512.Create(scale);
            for (; i <= count - 16; i += 16)
            {
                Avx512F.ConvertToVector128Byte(E4M3.Encode(Vector512.Load(row + i) / divisor)).Store(codes + i);
            }
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            Vector256<float> divisor = Vector256.Create(scale);
            for (; i <= count - 16; i += 16)
            {
                Vector256<int> low = E4M3.Encode(Vector256.Load(row + i) / divisor);
                Vector256<int> high = E4M3.Encode(Vector256.Load(row + i + 8) / divisor);
                Vector256<ushort> both = Vector256.Narrow(low.AsUInt32(), high.AsUInt32());
                Vector128.Narrow(both.GetLower(), both.GetUpper()).Store(codes + i);
            }
        }
        for (; i < count; i++)
        {
            codes[i] = E4M3.Encode(row[i] / scale);
        }
        return scale;
    }

    /// <summary>The scale that maps a row's largest magnitude to <paramref name="largestValue"/>; 1 where it would be zero.</summary>
    public static float Scale(float largestMagnitude, float largestValue) => largestMagnitude / largestValue is var scale && scale == 0 ? 1 : scale;

    /// <summary>max|x| of a row; NaN where one is in it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float LargestMagnitude(float* row, int count)
    {
        // Without their signs floats order as their bit patterns do, and NaN stands above infinity.
        int largest = 0;
        int i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            Vector256<int> mask = Vector256.Create(int.MaxValue);
            Vector256<int> first = Vector256<int>.Zero, second = first;
            for (; i <= count - 16; i += 16)
            {
                first = Vector256.Max(first, Vector256.Load((int*)row + i) & mask);
                second = Vector256.Max(second, Vector256.Load((int*)row + i + 8) & mask);
            }
            first = Vector256.Max(first, second);
            for (int lane = 0; lane < 8; lane++)
            {
                largest = Math.Max(largest, first[lane]);
            }
        }
        for (; i < count; i++)
        {
            largest = Math.Max(largest, BitConverter.SingleToInt32Bits(row[i]) & int.MaxValue);
        }
        return BitConverter.Int32BitsToSingle(largest);
    }

    /// <summary>The values of <paramref name="count"/> E4M3 codes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Decode(byte* codes, float* values, int count)
    {
        int i = 0;
        if (Avx512F.IsSupported)
        {
            for (; i <= count - 16; i += 16)
            {
                E4M3.Decode(Avx512F.ConvertToVector512Int32(Vector128.Load(codes + i))).Store(values + i);
            }
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            for (; i <= count - 8; i += 8)
            {
                Vector128<ushort> wide = Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)(codes + i)).AsByte());
                (Vector128<uint> low, Vector128<uint> high) = Vector128.Widen(wide);
                E4M3.Decode(Vector256.Create(low, high).AsInt32()).Store(values + i);
            }
        }
        ReadOnlySpan<float> table = E4M3.Values;
        for (; i < count; i++)
        {
            values[i] = table[codes[i]];
        }
    }
}
