using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter.Tensors;

/// <summary>The content of one tensor: element type, shape, and little-endian bytes, which may be mapped from a file.</summary>
public sealed class TensorData
{
    private readonly Func<long, int, ReadOnlyMemory<byte>> _slice;

    /// <summary>A tensor whose bytes are in memory.</summary>
    public TensorData(DataType type, IReadOnlyList<long> dims, ReadOnlyMemory<byte> bytes)
        : this(type, dims, bytes.Length, (offset, count) => bytes.Slice((int)offset, count))
    {
    }

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

    /// <summary>A part of the bytes. Valid as long as the <see cref="OnnxFile"/> it comes from is open.</summary>
    public ReadOnlyMemory<byte> Slice(long offset, int count) => _slice(offset, count);

    /// <summary>
    /// Reads <paramref name="destination"/>.Length elements as float32, beginning at element <paramref name="start"/>.
    /// Exact for float16 and bfloat16; float64 is rounded.
    /// </summary>
    public void ReadFloats(long start, Span<float> destination)
    {
        int size = TensorTypes.BitsPerElement(Type) / 8;
        const int Chunk = 1 << 20;
        for (int done = 0; done < destination.Length; done += Chunk)
        {
            int count = Math.Min(Chunk, destination.Length - done);
            Convert(Slice((start + done) * size, count * size).Span, destination.Slice(done, count));
        }
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
                for (int i = 0; i < floats.Length; i++)
                {
                    floats[i] = (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes[(8 * i)..]);
                }

                break;
            default:
                throw new InvalidOperationException($"Elements of type {Type} are not read as real numbers.");
        }
    }
}
