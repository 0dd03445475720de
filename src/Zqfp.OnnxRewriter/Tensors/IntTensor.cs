using System.Runtime.InteropServices;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>Reads the small integer tensors that say shapes, axes and positions.</summary>
internal static class IntTensor
{
    /// <summary>The elements, or null where they are no int64 or int32 or are not in the structure.</summary>
    public static long[]? Read(TensorProto tensor) => tensor switch
    {
        { DataLocation: DataLocation.External } => null,
        { DataType: (int)DataType.Int64 } => tensor.HasRawData
            ? MemoryMarshal.Cast<byte, long>(tensor.RawData.Span).ToArray()
            : [.. tensor.Int64Data],
        { DataType: (int)DataType.Int32 } => tensor.HasRawData
            ? Widen(MemoryMarshal.Cast<byte, int>(tensor.RawData.Span))
            : [.. tensor.Int32Data.Select(value => (long)value)],
        _ => null,
    };

    private static long[] Widen(ReadOnlySpan<int> values)
    {
        long[] wide = new long[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            wide[i] = values[i];
        }

        return wide;
    }
}
