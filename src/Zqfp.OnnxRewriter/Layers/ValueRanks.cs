using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>How many dimensions values have, as far as declarations and the nodes that make them say.</summary>
internal static class ValueRanks
{
    /// <summary>Operators whose first output has as many dimensions as their first input.</summary>
    private static readonly HashSet<string> Keeping =
    [
        "Abs", "BiasGelu", "Cast", "CastLike", "Ceil", "Clip", "Concat", "Conv", "Cos", "CumSum", "DequantizeLinear", "Dropout", "Erf",
        "Exp", "FastGelu", "Floor", "GatherElements", "Gelu", "GroupQueryAttention", "HardSigmoid", "HardSwish", "Identity", "IsNaN",
        "LayerNormalization", "LeakyRelu", "Log", "LogSoftmax", "MatMulBnb4", "MatMulNBits", "MoE", "MultiHeadAttention", "Neg", "Not",
        "PRelu", "Pad", "QMoE", "QuantizeLinear", "QuickGelu", "RMSNormalization", "Reciprocal", "Relu", "RotaryEmbedding", "Round",
        "ScatterElements", "ScatterND", "Selu", "Sigmoid", "Sign", "SimplifiedLayerNormalization", "Sin", "SkipLayerNormalization",
        "SkipSimplifiedLayerNormalization", "Slice", "Softmax", "Softplus", "Split", "Sqrt", "Tanh", "Tile", "TopK", "Transpose", "Trilu",
    ];

    private static readonly HashSet<string> Broadcasting =
    [
        "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "Pow",
        "Sub", "Sum", "Where", "Xor",
    ];

    /// <summary>The ranks that are known, by value.</summary>
    public static IReadOnlyDictionary<string, int> Of(GraphIndex graph)
    {
        Dictionary<string, int> ranks = new(StringComparer.Ordinal);
        foreach (string value in graph.Graph.Input.Concat(graph.Graph.ValueInfo).Concat(graph.Graph.Output).Select(value => value.Name))
        {
            if (graph.TypeOf(value)?.TensorType?.Shape is { } shape)
            {
                ranks[value] = shape.Dim.Count;
            }
        }

        foreach (TensorProto tensor in graph.Graph.Initializer)
        {
            ranks[tensor.Name] = tensor.Dims.Count;
        }

        foreach (NodeProto node in graph.Nodes)
        {
            if (Made(graph, node, value => ranks.TryGetValue(value, out int rank) ? rank : null) is not { } made)
            {
                continue;
            }

            // Of the other operators more outputs than one have the same rank, or nobody asks.
            foreach (string output in node.OpType is "Split" or "TopK" ? node.Output : node.Output.Take(1))
            {
                ranks.TryAdd(output, made);
            }

            if (node.OpType is "SkipLayerNormalization" or "SkipSimplifiedLayerNormalization" && node.Output.Count > 3)
            {
                ranks.TryAdd(node.Output[3], made);
            }
        }

        return ranks;
    }

    private static int? Made(GraphIndex graph, NodeProto node, Func<string, int?> rankOf)
    {
        int? First() => rankOf(node.Input[0]);
        switch (node.OpType)
        {
            case "Constant":
                return ConstantNode.Value(node)?.Dims.Count;
            case "Shape" or "NonZero" or "Range" or "Size":
                return node.OpType switch { "NonZero" => 2, "Size" => 0, _ => 1 };
            case var _ when node.Input.Count == 0:
                return null;
            case "Reshape" or "Expand" or "ConstantOfShape":
                string shape = node.Input[node.OpType == "ConstantOfShape" ? 0 : ^1];
                int? length = graph.Constant(shape) is { Dims: [var count] } ? (int)count : LengthOf(graph, shape);
                return node.OpType == "Expand" && length is not null ? Larger([length, First()]) : length;
            case "Gather" when node.Input.Count > 1:
                return First() + rankOf(node.Input[1]) - 1;
            case "MatMul" or "FusedMatMul" when node.Input.Count > 1:
                return Larger([First(), rankOf(node.Input[1])]);
            case "Gemm" or "Flatten":
                return 2;
            case OperatorNames.ExpertMatMul:
                return rankOf(node.Input[1]) + 1;
            case "Einsum":
                return EinsumEquation.Of(node) is { } equation && !equation.Output.Contains(EinsumEquation.Ellipsis)
                    ? equation.Output.Length
                    : null;
            case "Unsqueeze":
                return First() + Axes(graph, node)?.Length;
            case "Squeeze":
                return First() - Axes(graph, node)?.Length;
            case var op when op.StartsWith("Reduce", StringComparison.Ordinal) || op is "ArgMax" or "ArgMin":
                return Attributes.Int(node, "keepdims", 1) != 0
                    ? First()
                    : op.StartsWith("Arg", StringComparison.Ordinal) ? First() - 1 : First() - Axes(graph, node)?.Length;
            case var op when Broadcasting.Contains(op):
                return Larger(node.Input.Where(input => input.Length > 0).Select(rankOf));
            case var op when Keeping.Contains(op):
                return First();
            default:
                return null;
        }
    }

    /// <summary>The length of a shape that is put together from parts.</summary>
    private static int? LengthOf(GraphIndex graph, string shape)
    {
        if (graph.TypeOf(shape)?.TensorType?.Shape?.Dim is [{ HasDimValue: true, DimValue: >= 0 and < 64 and var declared }])
        {
            return (int)declared;
        }

        if (graph.Producer(shape) is { OpType: "Slice", Input.Count: 3 } slice && graph.Producer(slice.Input[0]) is { OpType: "Shape" }
            && graph.Constant(slice.Input[1]) is { } first && IntTensor.Read(first) is [0]
            && graph.Constant(slice.Input[2]) is { } end && IntTensor.Read(end) is [> 0 and < 64 and var leading])
        {
            return (int)leading;
        }

        if (graph.Producer(shape) is not { OpType: "Concat" } concat)
        {
            return null;
        }

        int sum = 0;
        foreach (string part in concat.Input)
        {
            int? length = (graph.Constant(part), graph.Producer(part)) switch
            {
                ({ Dims: [var count] }, _) => (int)count,
                (_, { OpType: "Unsqueeze" }) => 1,
                (_, { OpType: "Shape" } node) when Attributes.Int(node, "start", 0) is >= 0 and var start
                    && Attributes.Int(node, "end", -1) is var stop && stop > start => (int)(stop - start),
                (_, { OpType: "Slice" or "Gather" }) when graph.TypeOf(part)?.TensorType?.Shape?.Dim is [{ HasDimValue: true } one] =>
                    (int)one.DimValue,
                _ => null,
            };
            if (length is null)
            {
                return null;
            }

            sum += length.Value;
        }

        return sum;
    }

    private static long[]? Axes(GraphIndex graph, NodeProto node) =>
        node.Input.Count > 1 && node.Input[1].Length > 0
            ? graph.Constant(node.Input[1]) is { } axes ? IntTensor.Read(axes) : null
            : Attributes.Ints(node, "axes")?.ToArray();

    private static int? Larger(IEnumerable<int?> ranks)
    {
        int? largest = 0;
        foreach (int? rank in ranks)
        {
            largest = rank is null || largest is null ? null : Math.Max(largest.Value, rank.Value);
        }

        return largest;
    }
}
