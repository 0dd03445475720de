using System.Buffers.Binary;
using System.Runtime.Intrinsics;

namespace Zqfp.Numerics;

/// <summary>Eight codes, one a byte, to and from vector lanes.</summary>
internal static class Codes
{
    public static void Store(Vector256<int> codes, Span<byte> target)
    {
        Vector128<ushort> words = Vector128.Narrow(codes.GetLower(), codes.GetUpper()).AsUInt16();
        BinaryPrimitives.WriteUInt64LittleEndian(target, Vector128.Narrow(words, words).AsUInt64().ToScalar());
    }

    public static Vector256<int> Load(ReadOnlySpan<byte> source)
    {
        Vector128<ushort> words = Vector128.WidenLower(Vector128.CreateScalar(BinaryPrimitives.ReadUInt64LittleEndian(source)).AsByte());
        (Vector128<uint> low, Vector128<uint> high) = Vector128.Widen(words);
        return Vector256.Create(low, high).AsInt32();
    }

    public static Vector256<float> Decode(NumberFormat format, ReadOnlySpan<byte> source) => Vector256.Create(
        format.Decode(source[0]),
        format.Decode(source[1]),
        format.Decode(source[2]),
        format.Decode(source[3]),
        format.Decode(source[4]),
        format.Decode(source[5]),
        format.Decode(source[6]),
        format.Decode(source[7]));
}
