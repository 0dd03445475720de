using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>A DequantizeLinear of constants: number = (code - zero point) * scale.</summary>
/// <param name="ScaleName">The value that holds the scales.</param>
/// <param name="Scale">The scales.</param>
/// <param name="ZeroPointName">The value that holds the zero points; null: all are 0.</param>
/// <param name="ZeroPoint">The zero points, as many as scales.</param>
/// <param name="Length">Length of the axis; 1, with everything behind it, where one scale holds for the whole tensor.</param>
/// <param name="Inner">Product of the dimensions behind the axis.</param>
/// <param name="Block">Elements along the axis that share a scale; 0: a scale for each, the same for all outer and inner positions.</param>
/// <param name="Type">Element type of the numbers.</param>
internal sealed record Dequantization(
    string ScaleName, TensorProto Scale, string? ZeroPointName, TensorProto? ZeroPoint, long Length, long Inner, long Block, DataType Type)
{
    /// <summary>Reads the node, or returns null where its scales are no constants or fit neither tensor, axis nor blocks.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="node">A DequantizeLinear.</param>
    /// <param name="dims">Shape of the codes.</param>
    public static Dequantization? Of(GraphIndex graph, NodeProto node, IReadOnlyList<long> dims)
    {
        string? zeroPointName = node.Input.ElementAtOrDefault(2) is { Length: > 0 } name ? name : null;
        TensorProto? zeroPoint = zeroPointName is null ? null : graph.Constant(zeroPointName);
        bool isKnown = (zeroPointName is null) == (zeroPoint is null);
        if (!isKnown || ScaleOf(graph, node.Input[1]) is not var (scale, scaleType)
            || (zeroPoint is not null && !zeroPoint.Dims.SequenceEqual(scale.Dims)))
        {
            return null;
        }

        var type = (DataType)Attributes.Int(node, "output_dtype", 0);
        type = type == DataType.Undefined ? scaleType : type;
        if (scale.Dims.Count == 0 || scale.Dims is [1])
        {
            return new Dequantization(node.Input[1], scale, zeroPointName, zeroPoint, 1, dims.Aggregate(1L, (a, b) => a * b), 0, type);
        }

        int axis = (int)Attributes.Int(node, "axis", 1);
        axis = axis < 0 ? axis + dims.Count : axis;
        if (axis < 0 || axis >= dims.Count)
        {
            return null;
        }

        long block = Attributes.Int(node, "block_size", 0);
        bool fits = block > 0
            ? scale.Dims.SequenceEqual(dims.Select((dim, i) => i == axis ? (dim + block - 1) / block : dim))
            : scale.Dims is [var length] && length == dims[axis];
        long inner = dims.Skip(axis + 1).Aggregate(1L, (a, b) => a * b);
        return fits ? new Dequantization(node.Input[1], scale, zeroPointName, zeroPoint, dims[axis], inner, block, type) : null;
    }

    /// <summary>
    /// The constant that holds scales, and their type as read. It may stand behind a Cast: those of block formats are powers of two or
    /// 8-bit numbers.
    /// </summary>
    private static (TensorProto Scale, DataType Type)? ScaleOf(GraphIndex graph, string value)
    {
        DataType? type = null;
        while (graph.Constant(value) is null)
        {
            if (graph.Producer(value) is not { OpType: "Cast" or "Identity", Domain.Length: 0 } node)
            {
                return null;
            }

            type ??= node.OpType == "Cast" ? (DataType)Attributes.Int(node, "to", 0) : null;
            value = node.Input[0];
        }

        TensorProto scale = graph.Constant(value)!;
        var stored = (DataType)scale.DataType;
        return TensorTypes.IsFloat(stored) || TensorTypes.IsLowFloat(stored) ? (scale, type ?? stored) : null;
    }

    /// <summary>The index of the scale of the element at <paramref name="position"/> of the row-major codes.</summary>
    public long ScaleIndex(long position)
    {
        long along = position / Inner % Length;
        if (Block == 0)
        {
            return along;
        }

        long blocks = (Length + Block - 1) / Block;
        return (((position / (Inner * Length) * blocks) + (along / Block)) * Inner) + (position % Inner);
    }
}
