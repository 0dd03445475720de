using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Zqfp.Numerics;

/// <content>Conversion of whole spans, vectorized.</content>
internal sealed partial class NumberFormat
{
    /// <summary>Bytes that <paramref name="count"/> packed codes take: two codes a byte for 4-bit formats, else one.</summary>
    public long PackedLength(long count) => Bits == 4 ? (count + 1) / 2 : count;

    /// <summary>Encodes values to one code a byte.</summary>
    /// <param name="values">Values to encode.</param>
    /// <param name="codes">Receives one code a byte; at least as long as <paramref name="values"/>.</param>
    public void Encode(ReadOnlySpan<float> values, Span<byte> codes) => Encode(values, 1f, codes);

    /// <summary>Encodes <c>value / scale</c> to one code a byte. The quotient is the float32 division, rounded once.</summary>
    /// <param name="values">Values to encode.</param>
    /// <param name="scale">Divisor, positive and finite.</param>
    /// <param name="codes">Receives one code a byte; at least as long as <paramref name="values"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="codes"/> is too short.</exception>
    public void Encode(ReadOnlySpan<float> values, float scale, Span<byte> codes)
    {
        RequireLength(codes.Length, values.Length, nameof(codes));
        int i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            Vector256<float> divisor = Vector256.Create(scale);
            ref float source = ref MemoryMarshal.GetReference(values);
            ref byte target = ref MemoryMarshal.GetReference(codes);
            for (; i <= values.Length - 32; i += 32)
            {
                EncodeVector(ref Unsafe.Add(ref source, i), divisor).StoreUnsafe(ref target, (nuint)i);
            }
        }

        for (; i < values.Length; i++)
        {
            codes[i] = Encode(values[i] / scale);
        }
    }

    /// <summary>Encodes <c>value / scale</c> to packed codes: two codes a byte, low nibble first, for 4-bit formats.</summary>
    /// <param name="values">Values to encode.</param>
    /// <param name="scale">Divisor, positive and finite.</param>
    /// <param name="packed">Receives <see cref="PackedLength"/> bytes; the unused high nibble of an odd count is 0.</param>
    /// <exception cref="ArgumentException"><paramref name="packed"/> is too short.</exception>
    public void EncodePacked(ReadOnlySpan<float> values, float scale, Span<byte> packed)
    {
        if (Bits == 8)
        {
            Encode(values, scale, packed);
            return;
        }

        RequireLength(packed.Length, (int)PackedLength(values.Length), nameof(packed));
        int i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            Vector256<float> divisor = Vector256.Create(scale);
            ref float source = ref MemoryMarshal.GetReference(values);
            ref byte target = ref MemoryMarshal.GetReference(packed);
            for (; i <= values.Length - 32; i += 32)
            {
                NibblePacking.Pack(EncodeVector(ref Unsafe.Add(ref source, i), divisor)).StoreUnsafe(ref target, (nuint)(i / 2));
            }
        }

        for (; i < values.Length; i += 2)
        {
            int high = i + 1 < values.Length ? Encode(values[i + 1] / scale) : 0;
            packed[i / 2] = (byte)(Encode(values[i] / scale) | (high << 4));
        }
    }

    /// <summary>Decodes one code a byte.</summary>
    /// <exception cref="ArgumentException"><paramref name="values"/> is too short.</exception>
    public void Decode(ReadOnlySpan<byte> codes, Span<float> values)
    {
        RequireLength(values.Length, codes.Length, nameof(values));
        ReadOnlySpan<float> table = _values;
        int mask = CodeCount - 1;
        for (int i = 0; i < codes.Length; i++)
        {
            values[i] = table[codes[i] & mask];
        }
    }

    /// <summary>Decodes packed codes: two codes a byte, low nibble first, for 4-bit formats.</summary>
    /// <param name="packed">Packed codes.</param>
    /// <param name="values">Receives as many values as it is long.</param>
    /// <exception cref="ArgumentException"><paramref name="packed"/> holds fewer codes than <paramref name="values"/> asks for.</exception>
    public void DecodePacked(ReadOnlySpan<byte> packed, Span<float> values)
    {
        RequireLength(packed.Length, (int)PackedLength(values.Length), nameof(packed));
        if (Bits == 8)
        {
            Decode(packed[..values.Length], values);
            return;
        }

        ReadOnlySpan<long> pairs = _pairs;
        ref byte target = ref Unsafe.As<float, byte>(ref MemoryMarshal.GetReference(values));
        int count = values.Length / 2;
        for (int i = 0; i < count; i++)
        {
            Unsafe.WriteUnaligned(ref Unsafe.Add(ref target, (nint)i * 8), pairs[packed[i]]);
        }

        if ((values.Length & 1) != 0)
        {
            values[^1] = _values[packed[count] & 15];
        }
    }

    /// <summary>Rounds values to the format: what encoding and decoding them gives.</summary>
    /// <exception cref="ArgumentException"><paramref name="rounded"/> is too short.</exception>
    public void Round(ReadOnlySpan<float> values, Span<float> rounded)
    {
        RequireLength(rounded.Length, values.Length, nameof(rounded));
        int i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            ref float source = ref MemoryMarshal.GetReference(values);
            ref float target = ref MemoryMarshal.GetReference(rounded);
            Vector256<float> nan = Vector256.Create(Decode(_nanCode));
            for (; i <= values.Length - Vector256<float>.Count; i += Vector256<float>.Count)
            {
                Vector256<float> value = Vector256.LoadUnsafe(ref source, (nuint)i);
                Vector256<float> ordered = Vector256.Equals(value, value);
                Vector256<float> result = RoundFinite(value & ordered).Values;

                // Integers have one zero: -0 + 0 is 0.
                result = IsInteger ? result + Vector256<float>.Zero : result;
                Vector256.ConditionalSelect(ordered, result, nan).StoreUnsafe(ref target, (nuint)i);
            }
        }

        for (; i < values.Length; i++)
        {
            rounded[i] = Round(values[i]);
        }
    }

    /// <summary>
    /// Eight codes (in the low bits of each lane) and the values they stand for; NaN is not allowed in <paramref name="value"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal (Vector256<int> Codes, Vector256<float> Values) RoundFinite(Vector256<float> value)
    {
        Vector256<float> sign = value & Vector256.Create(-0f);
        Vector256<float> magnitude = Vector256.Min(Vector256.Abs(value), Vector256.Create(MaxValue));
        Vector256<uint> exponent = Vector256.Max(magnitude.AsUInt32() & Vector256.Create(0x7F800000u), Vector256.Create(_minExponent));
        Vector256<float> magic = (exponent + Vector256.Create((uint)_shift << 23)).AsSingle();
        Vector256<float> sum = magnitude + magic;
        Vector256<float> rounded = (sum - magic) | sign;
        Vector256<int> code =
            (Vector256.ShiftRightLogical(exponent - Vector256.Create(_minExponent), _shift) + sum.AsUInt32() - magic.AsUInt32()).AsInt32();
        return (ApplySign(code, sign.AsInt32()), rounded);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector256<int> ApplySign(Vector256<int> magnitude, Vector256<int> sign)
    {
        if (IsInteger)
        {
            Vector256<int> negative = Vector256.ShiftRightArithmetic(sign, 31);
            return ((magnitude ^ negative) - negative) & Vector256.Create(CodeCount - 1);
        }

        return magnitude | Vector256.ShiftRightLogical(sign, 32 - Bits);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector256<byte> EncodeVector(ref float source, Vector256<float> divisor)
    {
        Vector256<int> a = EncodeLanes(Vector256.LoadUnsafe(ref source) / divisor);
        Vector256<int> b = EncodeLanes(Vector256.LoadUnsafe(ref source, 8) / divisor);
        Vector256<int> c = EncodeLanes(Vector256.LoadUnsafe(ref source, 16) / divisor);
        Vector256<int> d = EncodeLanes(Vector256.LoadUnsafe(ref source, 24) / divisor);
        return Vector256.Narrow(Vector256.Narrow(a, b).AsUInt16(), Vector256.Narrow(c, d).AsUInt16());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector256<int> EncodeLanes(Vector256<float> value)
    {
        Vector256<float> ordered = Vector256.Equals(value, value);
        Vector256<int> codes = RoundFinite(value & ordered).Codes;
        return Vector256.ConditionalSelect(ordered.AsInt32(), codes, Vector256.Create((int)_nanCode));
    }

    private static void RequireLength(int length, int needed, string name)
    {
        if (length < needed)
        {
            throw new ArgumentException($"The span holds {length} elements; {needed} are needed.", name);
        }
    }
}
