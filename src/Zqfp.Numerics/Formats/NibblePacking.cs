using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Zqfp.Numerics;

/// <summary>
/// Two 4-bit codes a byte, low nibble first: the layout of ONNX's 4-bit tensors, contiguous over a whole row-major tensor.
/// </summary>
internal static class NibblePacking
{
    /// <summary>Packs codes (one a byte, low nibble used); the last high nibble of an odd count is 0.</summary>
    /// <param name="codes">One code a byte; the high nibbles must be 0.</param>
    /// <param name="packed">Receives (count + 1) / 2 bytes.</param>
    /// <exception cref="ArgumentException"><paramref name="packed"/> is too short.</exception>
    public static void Pack(ReadOnlySpan<byte> codes, Span<byte> packed)
    {
        if (packed.Length < (codes.Length + 1) / 2)
        {
            throw new ArgumentException($"{codes.Length} codes need {(codes.Length + 1) / 2} bytes; the span holds {packed.Length}.",
                nameof(packed));
        }

        int i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            ref byte source = ref MemoryMarshal.GetReference(codes);
            ref byte target = ref MemoryMarshal.GetReference(packed);
            for (; i <= codes.Length - 32; i += 32)
            {
                Pack(Vector256.LoadUnsafe(ref source, (nuint)i)).StoreUnsafe(ref target, (nuint)(i / 2));
            }
        }

        for (; i < codes.Length; i += 2)
        {
            int high = i + 1 < codes.Length ? codes[i + 1] : 0;
            packed[i / 2] = (byte)(codes[i] | (high << 4));
        }
    }

    /// <summary>Unpacks as many codes as <paramref name="codes"/> is long.</summary>
    /// <exception cref="ArgumentException"><paramref name="packed"/> is too short.</exception>
    public static void Unpack(ReadOnlySpan<byte> packed, Span<byte> codes)
    {
        if (packed.Length < (codes.Length + 1) / 2)
        {
            throw new ArgumentException($"{codes.Length} codes need {(codes.Length + 1) / 2} bytes; the span holds {packed.Length}.",
                nameof(packed));
        }

        for (int i = 0; i < codes.Length; i++)
        {
            codes[i] = (byte)((packed[i / 2] >> ((i & 1) * 4)) & 15);
        }
    }

    /// <summary>Some of the codes, packed by themselves.</summary>
    public static byte[] Slice(ReadOnlySpan<byte> packed, long first, long count)
    {
        byte[] slice = new byte[(count + 1) / 2];
        if (first % 2 == 0)
        {
            packed.Slice((int)(first / 2), slice.Length).CopyTo(slice);
            if (count % 2 != 0)
            {
                slice[^1] &= 15;
            }

            return slice;
        }

        for (long i = 0; i < count; i++)
        {
            int code = (packed[(int)((first + i) / 2)] >> (int)(4 * ((first + i) % 2))) & 15;
            slice[i / 2] |= (byte)(code << (int)(4 * (i % 2)));
        }

        return slice;
    }

    /// <summary>Packs 32 codes to 16 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector128<byte> Pack(Vector256<byte> codes)
    {
        Vector256<ushort> pairs = codes.AsUInt16();
        Vector256<ushort> bytes = (pairs | (pairs >> 4)) & Vector256.Create((ushort)0xFF);
        return Vector128.Narrow(bytes.GetLower(), bytes.GetUpper());
    }
}
