using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Token-wise FP8: one scale per row, its largest magnitude mapped to the largest code.</summary>
internal static unsafe class TokenQuantizer
{
    /// <summary>From this scale on <see cref="Quotient"/> is exact for all values that are not far below the smallest code.</summary>
    private const float LeastFastScale = 1f / (1L << 60);

    /// <summary>Quantizes one token.</summary>
    /// <param name="x">The tokens, float or float16.</param>
    /// <param name="isHalf">Whether they are float16.</param>
    /// <param name="start">Elements before the token.</param>
    /// <param name="rotation">Values of a block that are rotated, or 0.</param>
    /// <param name="place">Room for its values.</param>
    /// <param name="codes">Their E4M3 codes.</param>
    /// <param name="count">How many.</param>
    /// <returns>The scale.</returns>
    public static float Quantize(nint x, bool isHalf, long start, int rotation, float* place, byte* codes, int count)
    {
        if (!isHalf && rotation == 0)
        {
            return Quantize((float*)x + start, codes, count);
        }

        if (isHalf)
        {
            HalfConversion.ToSingle((Half*)x + start, place, count);
        }

        return Rotated(isHalf ? place : (float*)x + start, rotation, place, codes, count);
    }

    /// <summary>Rotates one row, and quantizes it.</summary>
    /// <param name="row">The values.</param>
    /// <param name="rotation">Values of a block that are rotated, or 0.</param>
    /// <param name="place">Receives them rotated; may be the row.</param>
    /// <param name="codes">Their E4M3 codes.</param>
    /// <param name="count">How many.</param>
    /// <returns>The scale.</returns>
    public static float Rotated(float* row, int rotation, float* place, byte* codes, int count)
    {
        if (rotation == 0)
        {
            return Quantize(row, codes, count);
        }

        float largest = BlockHadamard.ApplyAndMeasure(new ReadOnlySpan<float>(row, count), new Span<float>(place, count), rotation);
        return Quantize(place, largest, codes, count);
    }

    /// <summary>Quantizes one row.</summary>
    /// <param name="row">The values.</param>
    /// <param name="codes">Their E4M3 codes.</param>
    /// <param name="count">How many.</param>
    /// <returns>The scale: max|x| / 448, or 1 where that is zero. NaN in the row makes it NaN, and with it all the row.</returns>
    public static float Quantize(float* row, byte* codes, int count) => Quantize(row, LargestMagnitude(row, count), codes, count);

    [MethodImpl(HotLoop.Options)]
    private static float Quantize(float* row, float largest, byte* codes, int count)
    {
        // Divided by, not multiplied with a reciprocal: the definition's rounding.
        float scale = Scale(largest, E4M3.Max);
        int i = 0;
        if (Avx512BW.IsSupported && scale >= LeastFastScale && float.IsFinite(scale))
        {
            Vector512<float> divisor = Vector512.Create(scale), reciprocal = Vector512.Create(1 / scale);
            Vector512<int> order = Vector512.Create(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            for (; i <= count - 64; i += 64)
            {
                Vector512<short> low = Avx512BW.PackSignedSaturate(
                    Codes(row + i, divisor, reciprocal), Codes(row + i + 16, divisor, reciprocal));
                Vector512<short> high = Avx512BW.PackSignedSaturate(
                    Codes(row + i + 32, divisor, reciprocal), Codes(row + i + 48, divisor, reciprocal));

                // Packing stays within 128 bits: four codes of each quarter in turn.
                Vector512<int> turns = Avx512BW.PackUnsignedSaturate(low, high).AsInt32();
                Avx512F.PermuteVar16x32(turns, order).AsByte().Store(codes + i);
            }
            for (; i <= count - 16; i += 16)
            {
                Avx512F.ConvertToVector128Byte(Codes(row + i, divisor, reciprocal)).Store(codes + i);
            }
        }
        else if (Avx512F.IsSupported)
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

    /// <summary>
    /// value / divisor, correctly rounded, in a third of a division's time. The first correction makes the quotient one of the two floats
    /// next to the true one; a second from there with the correctly rounded reciprocal gives the nearest (Markstein 1990, theorem 2).
    /// </summary>
    /// <remarks>
    /// Remainders are exact where they do not underflow. They may for quotients below 2^-11, which are rounded to zero whatever their
    /// last bits.
    /// </remarks>
    /// <param name="value">At least 0.</param>
    /// <param name="divisor">At least <see cref="LeastFastScale"/>, and finite.</param>
    /// <param name="reciprocal">1 / divisor.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Quotient(Vector512<float> value, Vector512<float> divisor, Vector512<float> reciprocal)
    {
        Vector512<float> quotient = value * reciprocal;
        quotient = Avx512F.FusedMultiplyAdd(Avx512F.FusedMultiplyAddNegated(divisor, quotient, value), reciprocal, quotient);
        return Avx512F.FusedMultiplyAdd(Avx512F.FusedMultiplyAddNegated(divisor, quotient, value), reciprocal, quotient);
    }

    /// <summary>The codes of sixteen values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Codes(float* values, Vector512<float> divisor, Vector512<float> reciprocal)
    {
        Vector512<int> bits = Vector512.Load((int*)values);
        Vector512<float> quotient = Quotient((bits & Vector512.Create(int.MaxValue)).AsSingle(), divisor, reciprocal);

        // (bits >> 24 & 0x80) | code
        return Avx512F.TernaryLogic(
            Vector512.ShiftRightLogical(bits, 24), Vector512.Create(0x80), E4M3.EncodeMagnitude(quotient), 0xEA);
    }

    /// <summary>The scale that maps a row's largest magnitude to <paramref name="largestValue"/>; 1 where it would be zero.</summary>
    public static float Scale(float largestMagnitude, float largestValue) => largestMagnitude / largestValue is var scale && scale == 0
        ? 1
        : scale;

    /// <summary>max|x| of a row; NaN where one is in it.</summary>
    [MethodImpl(HotLoop.Options)]
    public static float LargestMagnitude(float* row, int count)
    {
        // Without their signs floats order as their bit patterns do, and NaN stands above infinity.
        int largest = 0;
        int i = 0;
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512<int> mask = Vector512.Create(int.MaxValue);
            Vector512<int> first = Vector512<int>.Zero, second = first;
            for (; i <= count - 32; i += 32)
            {
                first = Vector512.Max(first, Vector512.Load((int*)row + i) & mask);
                second = Vector512.Max(second, Vector512.Load((int*)row + i + 16) & mask);
            }
            first = Vector512.Max(first, second);
            Vector256<int> half = Vector256.Max(first.GetLower(), first.GetUpper());
            Vector128<int> quarter = Vector128.Max(half.GetLower(), half.GetUpper());
            largest = Math.Max(Math.Max(quarter[0], quarter[1]), Math.Max(quarter[2], quarter[3]));
        }
        else if (Vector256.IsHardwareAccelerated)
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
    [MethodImpl(HotLoop.Options)]
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
