using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Formats a token can be rounded to and back.</summary>
internal enum TokenFormat
{
    /// <summary>FP8 E4M3, largest value 448.</summary>
    E4M3,

    /// <summary>FP8 E5M2, largest value 57344.</summary>
    E5M2,

    /// <summary>Integers from -127 to 127.</summary>
    Int8,
}

/// <summary>Quantizes rows and dequantizes them at once: one scale per row, symmetric, to nearest with ties to even.</summary>
internal static unsafe class TokenRounder
{
    /// <summary>The largest finite value of a format, to which a row's largest magnitude is mapped.</summary>
    public static float Largest(TokenFormat format) => format switch
    {
        TokenFormat.E4M3 => E4M3.Max,
        TokenFormat.E5M2 => 57344,
        _ => 127,
    };

    /// <summary>Rounds one row in place.</summary>
    public static void Round(TokenFormat format, Span<float> row)
    {
        fixed (float* first = row)
        {
            Round(format, first, row.Length);
        }
    }

    /// <summary>Rounds one row in place.</summary>
    [MethodImpl(HotLoop.Options)]
    public static void Round(TokenFormat format, float* row, int count)
    {
        float scale = TokenQuantizer.Scale(TokenQuantizer.LargestMagnitude(row, count), Largest(format));
        int i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            Vector256<float> scales = Vector256.Create(scale);
            for (; i <= count - 8; i += 8)
            {
                (Nearest(format, Vector256.Load(row + i) / scales) * scales).Store(row + i);
            }
        }
        for (; i < count; i++)
        {
            row[i] = Nearest(format, row[i] / scale) * scale;
        }
    }

    /// <summary>The nearest value of a format; saturating, NaN stays NaN.</summary>
    public static float Nearest(TokenFormat format, float value) => format switch
    {
        TokenFormat.E4M3 => E4M3.Values[E4M3.Encode(value)],
        TokenFormat.E5M2 => NearestE5M2(value),
        _ => float.IsNaN(value) ? value : Math.Clamp(MathF.Round(value, MidpointRounding.ToEven), -127, 127),
    };

    private static Vector256<float> Nearest(TokenFormat format, Vector256<float> value)
    {
        switch (format)
        {
            case TokenFormat.E4M3:
                return E4M3.Decode(E4M3.Encode(value));
            case TokenFormat.Int8:
                // NaN compares false and so passes through both selections.
                Vector256<float> rounded = Vector256.Round(value, MidpointRounding.ToEven);
                rounded = Vector256.ConditionalSelect(Vector256.GreaterThan(rounded, Vector256.Create(127f)),
                    Vector256.Create(127f), rounded);
                return Vector256.ConditionalSelect(Vector256.LessThan(rounded, Vector256.Create(-127f)), Vector256.Create(-127f), rounded);
            default:
                float* lanes = stackalloc float[8];
                value.Store(lanes);
                for (int i = 0; i < 8; i++)
                {
                    lanes[i] = NearestE5M2(lanes[i]);
                }
                return Vector256.Load(lanes);
        }
    }

    /// <summary>E5M2 is float16 cut to 2 mantissa bits; rounded from the float at once, since rounding twice is not rounding.</summary>
    private static float NearestE5M2(float value)
    {
        const float Largest = 57344, SmallestNormal = 1f / (1 << 14), SubnormalUnit = 1f / (1 << 16);
        float magnitude = MathF.Abs(value);
        if (float.IsNaN(value))
        {
            return value;
        }
        if (magnitude < SmallestNormal)
        {
            return MathF.CopySign(MathF.Round(magnitude / SubnormalUnit, MidpointRounding.ToEven) * SubnormalUnit, value);
        }
        int bits = BitConverter.SingleToInt32Bits(MathF.Min(magnitude, Largest));
        int rounded = (bits + 0xFFFFF + ((bits >> 21) & 1)) & ~0x1FFFFF;
        return MathF.CopySign(BitConverter.Int32BitsToSingle(rounded), value);
    }
}
