using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>Reads what a Constant node holds, in whichever of its attributes.</summary>
internal static class ConstantNode
{
    /// <summary>The tensor of <paramref name="node"/>; null where it is no Constant, or one of strings.</summary>
    public static TensorProto? Value(NodeProto? node)
    {
        if (node is not { OpType: "Constant", Domain: "" })
        {
            return null;
        }

        AttributeProto? attribute = node.Attribute.FirstOrDefault(
            attribute => attribute.Name.StartsWith("value", StringComparison.Ordinal) || attribute.Name == "sparse_value");
        return attribute?.Name switch
        {
            "value" => attribute.T,
            "value_int" => new TensorProto { DataType = (int)DataType.Int64, Int64Data = { attribute.I } },
            "value_ints" => new TensorProto
            {
                DataType = (int)DataType.Int64,
                Dims = { attribute.Ints.Count },
                Int64Data = { attribute.Ints },
            },
            "value_float" => new TensorProto { DataType = (int)DataType.Float, FloatData = { attribute.F } },
            "value_floats" => new TensorProto
            {
                DataType = (int)DataType.Float,
                Dims = { attribute.Floats.Count },
                FloatData = { attribute.Floats },
            },
            "sparse_value" => SparseTensor.ToDense(attribute.SparseTensor, node.Output[0]),
            _ => null,
        };
    }
}
