using System.Runtime.CompilerServices;

namespace Zqfp.Numerics;

/// <summary>
/// A low-bit number format: 4 or 8 bits, floating point (sign, exponent, mantissa) or a symmetric two's complement integer.
/// </summary>
/// <remarks>
/// <para>Encoding rounds to the nearest value, ties to the even significand, and saturates at <see cref="MaxValue"/>;
/// infinities saturate as well, also in E5M2. E3M0 has one-digit significands, so a tie between two normal values goes to the
/// larger magnitude (IEEE 754-2019, 4.3.1), and a tie between 0 and the smallest value goes to 0.</para>
/// <para>NaN becomes the canonical NaN 0x7F where the format has one (E4M3, E5M2), else +<see cref="MaxValue"/>, as the
/// saturating conversions of current hardware do. The sign of zero is kept in floating-point formats.</para>
/// <para>The vectorized and the scalar paths give the same bits for every input. Instances are immutable and thread safe.</para>
/// </remarks>
internal sealed partial class NumberFormat
{
    private readonly float[] _values;
    private readonly long[] _pairs;
    private readonly uint _minExponent;
    private readonly int _shift;
    private readonly uint _magnitudeMask;
    private readonly byte _nanCode;

    private NumberFormat(string name, int bits, bool isInteger, int mantissaBits, int minExponent, float maxValue, bool hasNaN)
    {
        Name = name;
        Bits = bits;
        IsInteger = isInteger;
        MantissaBits = mantissaBits;
        MaxValue = maxValue;
        HasNaN = hasNaN;
        MinPositive = MathF.ScaleB(1f, minExponent - mantissaBits);
        _minExponent = (uint)(minExponent + 127) << 23;
        _shift = 23 - mantissaBits;
        _magnitudeMask = (1u << (bits - 1)) - 1;
        _nanCode = hasNaN ? (byte)0x7F : MagnitudeCode(maxValue);
        _values = BuildValues(minExponent);
        _pairs = BuildPairs();
    }

    /// <summary>FP4 E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives. Neither infinity nor NaN.</summary>
    public static NumberFormat E2M1 { get; } = new("E2M1", 4, isInteger: false, mantissaBits: 1, minExponent: 0, 6f, hasNaN: false);

    /// <summary>FP4 E3M0: 0, 0.25, 0.5, 1, 2, 4, 8, 16 and their negatives. Neither infinity nor NaN.</summary>
    public static NumberFormat E3M0 { get; } = new("E3M0", 4, isInteger: false, mantissaBits: 0, minExponent: -2, 16f, hasNaN: false);

    /// <summary>FP8 E4M3FN (OCP OFP8): largest value 448, smallest 2^-9, no infinity, NaN is S.1111.111.</summary>
    public static NumberFormat E4M3 { get; } = new("E4M3", 8, isInteger: false, mantissaBits: 3, minExponent: -6, 448f, hasNaN: true);

    /// <summary>FP8 E5M2 (OCP OFP8): largest finite value 57344, smallest 2^-16, infinities and NaN as in IEEE 754.</summary>
    public static NumberFormat E5M2 { get; } = new("E5M2", 8, isInteger: false, mantissaBits: 2, minExponent: -14, 57344f, hasNaN: true);

    /// <summary>INT4, symmetric: -7..7 when encoding; the code of -8 decodes but is never produced.</summary>
    public static NumberFormat Int4 { get; } = new("INT4", 4, isInteger: true, mantissaBits: 3, minExponent: 3, 7f, hasNaN: false);

    /// <summary>INT8, symmetric: -127..127 when encoding; the code of -128 decodes but is never produced.</summary>
    public static NumberFormat Int8 { get; } = new("INT8", 8, isInteger: true, mantissaBits: 7, minExponent: 7, 127f, hasNaN: false);

    /// <summary>All formats, in a fixed order.</summary>
    public static IReadOnlyList<NumberFormat> All { get; } = [E2M1, E3M0, E4M3, E5M2, Int4, Int8];

    /// <summary>The format's name, such as <c>E2M1</c> or <c>INT8</c>.</summary>
    public string Name { get; }

    /// <summary>Bits of one code: 4 or 8.</summary>
    public int Bits { get; }

    /// <summary>The largest finite magnitude that encoding produces.</summary>
    public float MaxValue { get; }

    /// <summary>The smallest positive value.</summary>
    public float MinPositive { get; }

    /// <summary>Whether the format is a two's complement integer.</summary>
    public bool IsInteger { get; }

    /// <summary>Explicit mantissa bits; of an integer format the bits of the magnitude.</summary>
    public int MantissaBits { get; }

    /// <summary>Bits of the smallest power of two, as float32, that starts a binade of its own.</summary>
    internal uint MinExponent => _minExponent;

    /// <summary>Whether the format has a code for NaN.</summary>
    public bool HasNaN { get; }

    /// <summary>The values of all codes, in the codes' order.</summary>
    public ReadOnlySpan<float> Values => _values;

    /// <summary>Number of distinct codes: 16 or 256.</summary>
    public int CodeCount => 1 << Bits;

    /// <summary>Finds a format by its name, without regard to case; <c>fp4</c>, <c>fp8</c> and <c>E4M3FN</c> are accepted too.</summary>
    /// <exception cref="ZqfpException">ZQFP2005: no format has that name.</exception>
    public static NumberFormat Parse(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return name.Trim().ToUpperInvariant() switch
        {
            "E2M1" or "FP4" => E2M1,
            "E3M0" => E3M0,
            "E4M3" or "E4M3FN" or "FP8" => E4M3,
            "E5M2" => E5M2,
            "INT4" => Int4,
            "INT8" => Int8,
            _ => throw new ZqfpException(
                DiagnosticCodes.InvalidOption,
                $"'{name}' is no number format. Use one of {string.Join(", ", All)}."),
        };
    }

    /// <summary>Encodes one value: nearest, ties to even, saturating. Only the low <see cref="Bits"/> bits are set.</summary>
    public byte Encode(float value)
    {
        if (float.IsNaN(value))
        {
            return _nanCode;
        }

        int magnitude = MagnitudeCode(MathF.Min(MathF.Abs(value), MaxValue));
        bool negative = float.IsNegative(value);
        return IsInteger
            ? (byte)((negative ? -magnitude : magnitude) & (CodeCount - 1))
            : (byte)(magnitude | (negative ? 1 << (Bits - 1) : 0));
    }

    /// <summary>The value of a code; bits above <see cref="Bits"/> are ignored. Exact.</summary>
    public float Decode(byte code) => _values[code & (CodeCount - 1)];

    /// <summary>The value that <paramref name="value"/> has after encoding and decoding.</summary>
    public float Round(float value) => Decode(Encode(value));

    /// <inheritdoc/>
    public override string ToString() => Name;

    // Adding 2^(e - m + 23) rounds a magnitude in the binade 2^e to m fraction bits, ties to even, and leaves the number of
    // quanta in the low bits of the sum; below the smallest normal number e stays there, which is what subnormals are.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private byte MagnitudeCode(float magnitude)
    {
        uint exponent = Math.Max(BitConverter.SingleToUInt32Bits(magnitude) & 0x7F800000u, _minExponent);
        float magic = BitConverter.UInt32BitsToSingle(exponent + ((uint)_shift << 23));
        uint quanta = BitConverter.SingleToUInt32Bits(magnitude + magic) - BitConverter.SingleToUInt32Bits(magic);
        return (byte)(((exponent - _minExponent) >> _shift) + quanta);
    }

    private float[] BuildValues(int minExponent)
    {
        var values = new float[CodeCount];
        for (int code = 0; code < values.Length; code++)
        {
            values[code] = IsInteger ? (code << (32 - Bits)) >> (32 - Bits) : FloatValue(code, minExponent);
        }

        return values;
    }

    private float FloatValue(int code, int minExponent)
    {
        int magnitude = code & (int)_magnitudeMask;
        int field = magnitude >> MantissaBits;
        int mantissa = magnitude & ((1 << MantissaBits) - 1);
        float value = field == 0
            ? MathF.ScaleB(mantissa, minExponent - MantissaBits)
            : MathF.ScaleB(mantissa + (1 << MantissaBits), minExponent - MantissaBits + field - 1);
        if (HasNaN && value > MaxValue)
        {
            // E5M2 keeps its first code above the largest number for infinity; E4M3FN has only the NaN.
            value = MantissaBits == 2 && mantissa == 0 ? float.PositiveInfinity : float.NaN;
        }

        return magnitude == code ? value : -value;
    }

    private long[] BuildPairs()
    {
        if (Bits != 4)
        {
            return [];
        }

        var pairs = new long[256];
        for (int code = 0; code < pairs.Length; code++)
        {
            uint low = BitConverter.SingleToUInt32Bits(_values[code & 15]);
            uint high = BitConverter.SingleToUInt32Bits(_values[code >> 4]);
            pairs[code] = (long)(((ulong)high << 32) | low);
        }

        return pairs;
    }
}
