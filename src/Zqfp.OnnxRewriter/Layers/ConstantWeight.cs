using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// A constant matrix, or a stack of them, seen through the nodes that stand between its numbers and their reader.
/// </summary>
/// <param name="Tensor">The numbers, or codes of them.</param>
/// <param name="Dequantization">How codes become numbers; null where the tensor holds the numbers themselves.</param>
/// <param name="Dims">
/// The shape the row-major numbers have, after all Reshape nodes; two dimensions, three of a stack, whose first counts the matrices.
/// </param>
/// <param name="Transposed">Whether the reader sees it with its last two dimensions exchanged.</param>
/// <param name="Type">The element type the reader sees.</param>
/// <param name="Path">The values from the reader's input back to the constant.</param>
internal sealed record ConstantWeight(
    TensorProto Tensor, Dequantization? Dequantization, IReadOnlyList<long> Dims, bool Transposed, DataType Type,
    IReadOnlyList<string> Path)
{
    /// <summary>The name of the constant, or of the value that is computed from constants.</summary>
    public string Name => Path[^1];

    /// <summary>
    /// What <see cref="Tensor"/>, which has a shape and a type but no numbers then, is computed from; null where it is stored.
    /// </summary>
    public ConstantValue? Computed { get; private init; }

    /// <summary>The constants that it is, or is computed from.</summary>
    public IEnumerable<string> Constants => Computed?.Leaves ?? [Name];

    /// <summary>Equal for weights that store the same numbers in the same shape.</summary>
    /// <param name="place">A name for the place where the numbers or codes are.</param>
    public string Identity(string place) => $"{place}|{Dequantization?.ScaleName}|{Dequantization?.ZeroPointName}|{string.Join('x', Dims)}";

    /// <summary>
    /// Follows <paramref name="value"/> back through Transpose, Cast, Identity, Reshape and its kin, and DequantizeLinear to a constant,
    /// or a value computed from constants, and returns the matrix of real numbers that this makes, or null where it makes none. Numbers of
    /// float64 are left alone: nothing here computes in it.
    /// </summary>
    public static ConstantWeight? Trace(GraphIndex graph, string value) => Readable(TraceShape(graph, value));

    /// <summary>As <see cref="Trace"/>, for a stack of matrices.</summary>
    public static ConstantWeight? TraceStack(GraphIndex graph, string value) => Readable(TraceShape(graph, value, dimensions: 3));

    /// <summary>As <see cref="Trace"/>, of any number of dimensions.</summary>
    public static ConstantWeight? TraceNumbers(GraphIndex graph, string value) => Readable(TraceAny(graph, value));

    private static ConstantWeight? Readable(ConstantWeight? weight) =>
        weight is { IsRead: true, Type: not DataType.Double } && TensorTypes.IsFloat(weight.Type) ? weight : null;

    /// <summary>Whether <see cref="WeightNumbers"/> reads what it stores.</summary>
    public bool IsRead => Dequantization is null
        ? TensorTypes.IsFloat((DataType)Tensor.DataType) || TensorTypes.IsLowFloat((DataType)Tensor.DataType)
        : TensorTypes.IsCode((DataType)Tensor.DataType);

    /// <summary>As <see cref="Trace"/>, for matrices of any element type: their numbers may be unreadable, such as codes of FP4.</summary>
    public static ConstantWeight? TraceShape(GraphIndex graph, string value, int dimensions = 2) =>
        TraceAny(graph, value) is { } weight && weight.Dims.Count == dimensions ? weight : null;

    /// <summary>As <see cref="TraceShape"/>, of any number of dimensions.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="value">The value.</param>
    /// <param name="depth">How many DequantizeLinear it is a scale of, one of the other.</param>
    public static ConstantWeight? TraceAny(GraphIndex graph, string value, int depth = 0)
    {
        List<string> path = [value];
        Stack<NodeProto> nodes = new();
        while (graph.Constant(value) is null && graph.Producer(value) is { } node && PassesThrough(node))
        {
            nodes.Push(node);
            value = node.Input[0];
            path.Add(value);
        }

        ConstantWeight? weight = graph.Constant(value) is { } tensor
            ? new ConstantWeight(tensor, null, tensor.Dims, Transposed: false, (DataType)tensor.DataType, path)
            : ConstantValue.Of(graph, value) is { } computed ? Of(computed, path) : null;
        while (weight is not null && nodes.TryPop(out NodeProto? node))
        {
            // What cannot be said of the constant itself, such as dimensions exchanged otherwise, is computed.
            weight = weight.After(graph, node, depth)
                ?? (ConstantValue.Of(graph, node.Output[0]) is { } turned ? Of(turned, path[..(nodes.Count + 1)]) : null);
        }

        return weight;
    }

    private static ConstantWeight Of(ConstantValue computed, IReadOnlyList<string> path)
    {
        TensorProto shape = new() { Name = path[^1], DataType = (int)computed.Type, Dims = { computed.Dims } };
        return new ConstantWeight(shape, null, computed.Dims, Transposed: false, computed.Type, path) { Computed = computed };
    }

    /// <summary>Whether <paramref name="node"/> is one that a weight is seen through, its first input being the weight.</summary>
    public static bool PassesThrough(NodeProto node) =>
        node.Domain.Length == 0 && node.Input.Count > 0
            && node.OpType is "Transpose" or "Cast" or "Identity" or "Reshape" or "Squeeze" or "Unsqueeze" or "Flatten"
                or "DequantizeLinear";

    /// <summary>What <paramref name="node"/> makes of the weight, or null where that is nothing this type can say.</summary>
    private ConstantWeight? After(GraphIndex graph, NodeProto node, int depth)
    {
        switch (node.OpType)
        {
            case "Identity":
                return this;
            case "Cast":
                return this with { Type = (DataType)Attributes.Int(node, "to", 0) };
            case "Transpose" when Dims.Count == 2:
                return Attributes.Ints(node, "perm") is [0, 1] ? this : this with { Transposed = !Transposed };
            case "Transpose" when Dims.Count == 3 && ExpertPick.ExchangesLast(Attributes.Ints(node, "perm")):
                return this with { Transposed = !Transposed };
            case "Reshape" when !Transposed && node.Input.Count > 1 && graph.Constant(node.Input[1]) is { } shape:
                return Reshaping.Resolve(Dims, shape, Attributes.Int(node, "allowzero", 0) != 0) is { } dims
                    ? this with { Dims = dims }
                    : null;
            case "Squeeze" or "Unsqueeze" or "Flatten" when !Transposed && Reshaping.Resolve(graph, node, Dims) is { } reshaped:
                return this with { Dims = reshaped };
            case "DequantizeLinear" when !Transposed && node.Input.Count > 1 && Dequantization is null && Type == (DataType)Tensor.DataType:
                return Dequantization.Of(graph, node, Dims, depth) is { } dequantization
                    ? this with { Dequantization = dequantization, Type = dequantization.Type }
                    : null;
            default:
                return null;
        }
    }
}
