using Zqfp.Numerics;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// FP4 codes as bytes, made while they are read, so that a model of any size is written without holding its bytes in memory.
/// </summary>
internal static class StockWeights
{
    /// <summary>The byte that stands for zero in MatMulNBits.</summary>
    public const byte ZeroPoint = 128;

    /// <summary>128 + 2 v for the value v of every FP4 code: twice an E2M1 value is an integer of at most 12.</summary>
    private static readonly byte[] Doubled =
    [
        .. Enumerable.Range(0, 16).Select(code => (byte)(ZeroPoint + (2 * NumberFormat.E2M1.Decode((byte)code))))
    ];

    /// <summary>The weight as MatMulNBits reads it, [N, blocks, block]: columns behind K are zero.</summary>
    public static TensorData Blocked(QuantizedLayerTensors layer, StockLayout layout)
    {
        int stride = layout.Blocks * layout.BlockSize;
        return new TensorData(DataType.Uint8, [layout.Rows, layout.Blocks, layout.BlockSize], layout.CodeBytes, (offset, count) =>
        {
            byte[] bytes = new byte[count];
            for (int done = 0; done < count;)
            {
                (long row, long column) = Math.DivRem(offset + done, stride);
                int length = (int)Math.Min(count - done, stride - column);
                int real = (int)Math.Clamp(layout.Columns - column, 0, length);
                Expand(layer.Codes, (row * layout.Columns) + column, Doubled, bytes.AsSpan(done, real));
                bytes.AsSpan(done + real, length - real).Fill(ZeroPoint);
                done += length;
            }

            return bytes;
        });
    }

    /// <summary>One byte for each code [N, K], by which a table of values is indexed.</summary>
    public static TensorData Indices(QuantizedLayerTensors layer, StockLayout layout)
    {
        long[] dims = [layout.Rows, layout.Columns];
        return layer.CodesType == WeightCodes.Fp8E4M3
            ? new TensorData(DataType.Uint8, dims, layer.Codes)
            : new TensorData(DataType.Uint8, dims, layout.CodeBytes, (offset, count) =>
            {
                byte[] bytes = new byte[count];
                Expand(layer.Codes, offset, Identity, bytes);
                return bytes;
            });
    }

    private static ReadOnlySpan<byte> Identity => [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// <summary>
    /// Looks up <paramref name="bytes"/>.Length codes, two to a byte with the first in the low half, beginning at code
    /// <paramref name="start"/>.
    /// </summary>
    private static void Expand(ReadOnlyMemory<byte> codes, long start, ReadOnlySpan<byte> table, Span<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return;
        }

        int odd = (int)(start % 2);
        ReadOnlySpan<byte> pairs = codes.Span.Slice((int)(start / 2), (bytes.Length + odd + 1) / 2);
        for (int i = 0; i < bytes.Length; i++)
        {
            int at = i + odd;
            bytes[i] = table[(pairs[at / 2] >> (4 * (at % 2))) & 15];
        }
    }
}
