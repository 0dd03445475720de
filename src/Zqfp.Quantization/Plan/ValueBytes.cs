using Zqfp.OnnxRewriter;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization;

/// <summary>Bytes of what slices make for each token, at most.</summary>
/// <param name="graph">The graph.</param>
/// <param name="layers">All linear layers of it.</param>
internal sealed class ValueBytes(GraphIndex graph, IReadOnlyList<LinearLayer> layers)
{
    private readonly TokenWidths _widths = new(graph, layers);

    /// <summary>
    /// Numbers of the widest layer's rows, which are taken where the graph does not tell. No slice runs a head: nothing is calibrated
    /// behind it.
    /// </summary>
    public long Widest { get; } = layers
        .Select(layer => layer.IsHead ? layer.InFeatures : Math.Max(layer.InFeatures, layer.OutFeatures)).DefaultIfEmpty().Max();

    /// <summary>Bytes of <paramref name="value"/> for each token.</summary>
    public long Of(string value)
    {
        long? declared = Declared(value);
        long? told = _widths.Of(value)?.Numbers;
        long numbers = declared is null ? told ?? Widest : Math.Min(declared.Value, told ?? long.MaxValue);
        return Of(TypeOf(value), numbers);
    }

    /// <summary>Bytes of so many numbers: slices compute in float32 what the model computes in types of 16 bits.</summary>
    public static long Of(DataType type, long numbers) => TensorTypes.ByteLength(
        type is DataType.Float16 or DataType.Bfloat16 || TensorTypes.BitsPerElement(type) == 0 ? DataType.Float : type, numbers);

    /// <summary>The product of the lengths declared, but for the first dimension; null where none is.</summary>
    private long? Declared(string value) => graph.TypeOf(value)?.TensorType?.Shape?.Dim.Skip(1).Where(dim => dim.DimValue > 0)
        .Aggregate(1L, (product, dim) => product * dim.DimValue) is > 1 and var width ? width : null;

    /// <summary>The element type declared, or told by the nodes that make the value; float where nothing tells it.</summary>
    private DataType TypeOf(string value)
    {
        while (true)
        {
            if (graph.TypeOf(value)?.TensorType is { ElemType: > 0 } declared)
            {
                return (DataType)declared.ElemType;
            }

            if (graph.Constant(value) is { } constant)
            {
                return (DataType)constant.DataType;
            }

            if (graph.Producer(value) is not { } node)
            {
                return DataType.Float;
            }

            switch (node.OpType)
            {
                case "Cast":
                    return (DataType)Attributes.Int(node, "to", (long)DataType.Float);
                case "ArgMax" or "ArgMin" or "NonZero" or "Shape" or "Size":
                case "TopK" when node.Output[0] != value:
                    return DataType.Int64;
                case "And" or "Equal" or "Greater" or "GreaterOrEqual" or "IsInf" or "IsNaN" or "Less" or "LessOrEqual" or "Not" or "Or"
                    or "Xor":
                    return DataType.Bool;
                case "DequantizeLinear" or "GatherBlockQuantized" or OperatorNames.ExpertMatMul or "If" or "Loop" or "Scan":
                case var _ when node.Input.Count == 0:
                    return DataType.Float;
                default:
                    value = node.Input[node.OpType is "Where" or "CastLike" ? 1 : 0];
                    break;
            }
        }
    }
}
