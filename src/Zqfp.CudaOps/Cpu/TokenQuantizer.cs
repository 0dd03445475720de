using System.Runtime.Intrinsics;

namespace Zqfp.CudaOps.Cpu;

/// <summary>Token-wise FP8: one scale per row, its largest magnitude mapped to the largest code.</summary>
internal static unsafe class TokenQuantizer
{
    /// <summary>Quantizes one row.</summary>
    /// <param name="row">The values.</param>
    /// <param name="codes">Their E4M3 codes.</param>
    /// <param name="count">How many.</param>
    /// <returns>The scale: max|x| / 448, or 1 where that is zero. NaN in the row makes it NaN, and with it all the row.</returns>
    public static float Quantize(float* row, byte* codes, int count)
    {
        float scale = Scale(LargestMagnitude(row, count), E4M3.Max);
        int i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            // Divided, not multiplied by a reciprocal: the definition's rounding.
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
    public static float LargestMagnitude(float* row, int count)
    {
        float largest = 0;
        int i = 0;
        if (Vector256.IsHardwareAccelerated && count >= 8)
        {
            Vector256<float> lanes = Vector256<float>.Zero;
            for (; i <= count - 8; i += 8)
            {
                lanes = Vector256.Max(lanes, Vector256.Abs(Vector256.Load(row + i)));
            }
            for (int lane = 0; lane < 8; lane++)
            {
                largest = MathF.Max(largest, lanes[lane]);
            }
        }
        for (; i < count; i++)
        {
            largest = MathF.Max(largest, MathF.Abs(row[i]));
        }
        return largest;
    }

    /// <summary>The values of <paramref name="count"/> E4M3 codes.</summary>
    public static void Decode(byte* codes, float* values, int count)
    {
        int i = 0;
        if (Vector256.IsHardwareAccelerated)
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
