using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Zqfp.Numerics;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>The content of one tensor: element type, shape, and little-endian bytes, which may be mapped from a file.</summary>
internal sealed class TensorData
{
    private readonly Func<long, int, ReadOnlyMemory<byte>> _slice;

    /// <summary>A tensor whose bytes are in memory.</summary>
    public TensorData(DataType type, IReadOnlyList<long> dims, ReadOnlyMemory<byte> bytes)
        : this(type, dims, bytes.Length, (offset, count) => bytes.Slice((int)offset, count))
    {
        Memory = bytes;
    }

    /// <summary>A tensor of numbers, rounded to a floating-point type: float, float16 or bfloat16.</summary>
    public static TensorData Of(DataType type, IReadOnlyList<long> dims, ReadOnlySpan<float> numbers)
    {
        if (type == DataType.Float)
        {
            return new TensorData(type, dims, MemoryMarshal.AsBytes(numbers).ToArray());
        }

        byte[] bytes = new byte[2 * numbers.Length];
        for (int i = 0; i < numbers.Length; i++)
        {
            ushort bits = type == DataType.Float16
                ? BitConverter.HalfToUInt16Bits((Half)numbers[i])
                : (ushort)(BitConverter.SingleToUInt32Bits(RoundedConstant.ToBfloat16(numbers[i])) >> 16);
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2 * i), bits);
        }

        return new TensorData(type, dims, bytes);
    }

    /// <summary>A tensor [length] of int64.</summary>
    public static TensorData Integers(params long[] values) =>
        new(DataType.Int64, [values.Length], MemoryMarshal.AsBytes<long>(values).ToArray());

    internal TensorData(DataType type, IReadOnlyList<long> dims, long byteLength, Func<long, int, ReadOnlyMemory<byte>> slice)
    {
        Type = type;
        Dims = dims;
        ByteLength = byteLength;
        _slice = slice;
    }

    /// <summary>Element type.</summary>
    public DataType Type { get; }

    /// <summary>Shape; empty for a scalar.</summary>
    public IReadOnlyList<long> Dims { get; }

    /// <summary>Number of bytes.</summary>
    public long ByteLength { get; }

    /// <summary>All the bytes where they are one piece of memory; else empty.</summary>
    public ReadOnlyMemory<byte> Memory { get; }

    /// <summary>A part of the bytes. Valid as long as the <see cref="OnnxFile"/> it comes from is open.</summary>
    public ReadOnlyMemory<byte> Slice(long offset, int count) => _slice(offset, count);

    /// <summary>Copies a part of the bytes. What comes from a file is read from there and does not stay in memory.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="destination">Receives as many bytes as it is long.</param>
    public void Read(long offset, Span<byte> destination)
    {
        ReadOnlyMemory<byte> slice = Slice(offset, destination.Length);
        if (!MappedFile.TryRead(slice, destination))
        {
            slice.Span.CopyTo(destination);
        }
    }

    /// <summary>Where the bytes are mapped into memory, for tensors of any size; null where they are inline.</summary>
    /// <remarks>Valid as long as the <see cref="OnnxFile"/> it comes from is open.</remarks>
    public nint? Address { get; internal init; }

    /// <summary>
    /// Reads <paramref name="destination"/>.Length elements as float32, beginning at element <paramref name="start"/>.
    /// Exact for float16, bfloat16, floating point of 8 and 4 bits, and integers up to 16 bits; float64 and int32 are rounded.
    /// </summary>
    public void ReadFloats(long start, Span<float> destination)
    {
        if (TensorTypes.BitsPerElement(Type) is < 8 and var bits)
        {
            ReadPacked(start, destination, bits);
            return;
        }

        int size = TensorTypes.BitsPerElement(Type) / 8;
        const int Chunk = 1 << 20;
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Min(Chunk, destination.Length) * size);
        for (int done = 0; done < destination.Length; done += Chunk)
        {
            int count = Math.Min(Chunk, destination.Length - done);
            Span<byte> bytes = buffer.AsSpan(0, count * size);
            Read((start + done) * size, bytes);
            Convert(bytes, destination.Slice(done, count));
        }

        ArrayPool<byte>.Shared.Return(buffer);
    }

    /// <summary>Numbers of 2 or 4 bits lie several to a byte, the first in the lowest bits.</summary>
    private void ReadPacked(long start, Span<float> destination, int bits)
    {
        int pack = 8 / bits;
        long first = start / pack;
        int count = (int)(((start + destination.Length + pack - 1) / pack) - first);
        byte[] bytes = ArrayPool<byte>.Shared.Rent(count);
        Read(first, bytes.AsSpan(0, count));
        int skipped = (int)(start % pack);
        for (int i = 0; i < destination.Length; i++)
        {
            int code = (bytes[(i + skipped) / pack] >> (bits * ((i + skipped) % pack))) & ((1 << bits) - 1);
            destination[i] = Type switch
            {
                DataType.Uint4 or DataType.Uint2 => code,
                DataType.Float4E2M1 => NumberFormat.E2M1.Decode((byte)code),
                DataType.Int4 => code >= 8 ? code - 16 : code,
                _ => throw NotNumbers(),
            };
        }

        ArrayPool<byte>.Shared.Return(bytes);
    }

    private void Convert(ReadOnlySpan<byte> bytes, Span<float> floats)
    {
        switch (Type)
        {
            case DataType.Float:
                MemoryMarshal.Cast<byte, float>(bytes).CopyTo(floats);
                break;
            case DataType.Float16:
                TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(bytes), floats);
                break;
            case DataType.Bfloat16:
                for (int i = 0; i < floats.Length; i++)
                {
                    floats[i] = BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(bytes[(2 * i)..]) << 16);
                }

                break;
            case DataType.Double:
                Convert<double>(bytes, floats);
                break;
            case DataType.Int8:
                Convert<sbyte>(bytes, floats);
                break;
            case DataType.Uint8:
                Convert<byte>(bytes, floats);
                break;
            case DataType.Int16:
                Convert<short>(bytes, floats);
                break;
            case DataType.Uint16:
                Convert<ushort>(bytes, floats);
                break;
            case DataType.Int32:
                Convert<int>(bytes, floats);
                break;
            case DataType.Float8E4M3Fn:
                NumberFormat.E4M3.Decode(bytes, floats);
                break;
            case DataType.Float8E5M2:
                for (int i = 0; i < floats.Length; i++)
                {
                    // The upper half of a float16.
                    floats[i] = (float)BitConverter.UInt16BitsToHalf((ushort)(bytes[i] << 8));
                }

                break;
            case DataType.Float8E8M0:
                for (int i = 0; i < floats.Length; i++)
                {
                    floats[i] = bytes[i] == byte.MaxValue ? float.NaN : MathF.ScaleB(1, bytes[i] - 127);
                }

                break;
            default:
                throw NotNumbers();
        }
    }

    private static void Convert<T>(ReadOnlySpan<byte> bytes, Span<float> floats)
        where T : unmanaged, INumberBase<T> => TensorPrimitives.ConvertTruncating<T, float>(MemoryMarshal.Cast<byte, T>(bytes), floats);

    private InvalidOperationException NotNumbers() => new($"Elements of type {Type} are not read as real numbers.");
}
