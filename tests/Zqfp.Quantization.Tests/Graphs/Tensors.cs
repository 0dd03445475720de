using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>Initializers of graphs that tests write.</summary>
internal static class Tensors
{
    public static TensorProto Floats(string name, float[] values, params IEnumerable<long> dims) => new()
    {
        Name = name,
        DataType = (int)DataType.Float,
        Dims = { dims },
        RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<float>(values)),
    };
}
