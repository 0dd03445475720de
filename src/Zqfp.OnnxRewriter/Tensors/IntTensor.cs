using System.Runtime.InteropServices;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>Reads the small integer tensors that say shapes, axes and positions.</summary>
internal static class IntTensor
{
    /// <summary>The elements, or null where they are no int64 or are not in the structure.</summary>
    public static long[]? Read(TensorProto tensor) => tensor switch
    {
        { DataType: not (int)DataType.Int64 } or { DataLocation: DataLocation.External } => null,
        { HasRawData: true } => MemoryMarshal.Cast<byte, long>(tensor.RawData.Span).ToArray(),
        _ => [.. tensor.Int64Data],
    };
}
