using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>A DequantizeLinear of constants: number = (code - zero point) * scale.</summary>
/// <param name="ScaleName">The value that holds the scales.</param>
/// <param name="Scale">The scales, which may be dequantized or computed themselves, as those of two levels.</param>
/// <param name="ZeroPointName">The value that holds the zero points; null: all are 0.</param>
/// <param name="ZeroPoint">The zero points, as many as scales.</param>
/// <param name="Length">Length of the axis; 1, with everything behind it, where one scale holds for the whole tensor.</param>
/// <param name="Inner">Product of the dimensions behind the axis.</param>
/// <param name="Block">Elements along the axis that share a scale; 0: a scale for each, the same for all outer and inner positions.</param>
/// <param name="Type">Element type of the numbers.</param>
internal sealed record Dequantization(
    string ScaleName, ConstantWeight Scale, string? ZeroPointName, TensorProto? ZeroPoint, long Length, long Inner, long Block,
    DataType Type)
{
    /// <summary>Scales of scales of scales: more are none that formats have.</summary>
    private const int MostLevels = 4;

    /// <summary>Reads the node, or returns null where its scales are no constants or fit neither tensor, axis nor blocks.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="node">A DequantizeLinear.</param>
    /// <param name="dims">Shape of the codes.</param>
    /// <param name="depth">How many nodes of this kind its numbers are a scale of, one of the other.</param>
    public static Dequantization? Of(GraphIndex graph, NodeProto node, IReadOnlyList<long> dims, int depth = 0)
    {
        string? zeroPointName = node.Input.ElementAtOrDefault(2) is { Length: > 0 } name ? name : null;
        TensorProto? zeroPoint = zeroPointName is null ? null : graph.Constant(zeroPointName);
        bool isKnown = (zeroPointName is null) == (zeroPoint is null);
        if (!isKnown || ScaleOf(graph, node.Input[1], depth) is not { } scale
            || (zeroPoint is not null && !zeroPoint.Dims.SequenceEqual(scale.Dims)))
        {
            return null;
        }

        var type = (DataType)Attributes.Int(node, "output_dtype", 0);
        type = type == DataType.Undefined ? scale.Type : type;
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
    /// The scales as constants. They may stand behind a Cast or be products of two: those of block formats are powers of two or 8-bit
    /// numbers, and one number for a whole matrix beside them.
    /// </summary>
    private static ConstantWeight? ScaleOf(GraphIndex graph, string value, int depth) =>
        depth < MostLevels && ConstantWeight.TraceAny(graph, value, depth + 1) is { Transposed: false } scale
            && (TensorTypes.IsFloat(scale.Type) || TensorTypes.IsLowFloat(scale.Type)) && scale.IsRead
                ? scale
                : null;

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
