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
        "ScatterElements", "ScatterND", "Selu", "SequenceAt", "SequenceConstruct", "SequenceInsert", "Sigmoid", "Sign",
        "SimplifiedLayerNormalization", "Sin", "SkipLayerNormalization",
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
                int? length = LengthOf(graph, shape, rankOf);
                return node.OpType == "Expand" && length is not null ? Larger([length, First()]) : length;
            case "Gather" when node.Input.Count > 1:
                return First() + rankOf(node.Input[1]) - 1;
            case "MatMul" or "FusedMatMul" when node.Input.Count > 1:
                return Larger([First(), rankOf(node.Input[1])]);
            case "Gemm" or "Flatten":
                return 2;
            case "SplitToSequence":
                // What is said of a sequence is said of its elements.
                return node.Input.Count > 1 || Attributes.Int(node, "keepdims", 1) != 0 ? First() : First() - 1;
            case "OneHot":
                return First() + 1;
            case "LSTM" or "GRU" or "RNN":
                return 4;
            case "GatherND" when node.Input.Count > 1 && Attributes.Int(node, "batch_dims", 0) == 0:
                return First() + rankOf(node.Input[1]) - 1 - LastOf(graph, node.Input[1], rankOf);
            case "If":
                return SameIn(Subgraphs.Of(node));
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

    /// <summary>How many dimensions the first results of bodies are all declared with.</summary>
    private static int? SameIn(IEnumerable<GraphProto> bodies)
    {
        int?[] ranks = [.. bodies.Select(body => body.Output.FirstOrDefault()?.Type?.TensorType?.Shape?.Dim.Count).Distinct()];
        return ranks is [var one] ? one : null;
    }

    /// <summary>The last dimension of indices.</summary>
    private static int? LastOf(GraphIndex graph, string indices, Func<string, int?> rankOf) =>
        (graph.Constant(indices), graph.Producer(indices)) switch
        {
            ({ Dims: [.., var last] }, _) => (int)last,
            (_, { OpType: "Unsqueeze" } node) when Axes(graph, node) is [var axis] && (axis == -1 || axis == rankOf(node.Input[0])) => 1,
            _ => graph.TypeOf(indices)?.TensorType?.Shape?.Dim is [.., { HasDimValue: true, DimValue: >= 0 and < 64 and var size }]
                ? (int)size
                : null,
        };

    /// <summary>The length of a vector of integers, such as a shape that is put together from parts.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="vector">The vector.</param>
    /// <param name="rankOf">What is known of ranks.</param>
    /// <param name="depth">How many nodes are looked behind at most.</param>
    private static int? LengthOf(GraphIndex graph, string vector, Func<string, int?> rankOf, int depth = 16)
    {
        if (graph.Constant(vector) is { } constant)
        {
            return constant.Dims is [>= 0 and < 64 and var count] ? (int)count : null;
        }

        if (graph.TypeOf(vector)?.TensorType?.Shape?.Dim is [{ HasDimValue: true, DimValue: >= 0 and < 64 and var declared }])
        {
            return (int)declared;
        }

        if (depth == 0 || graph.Producer(vector) is not { Input.Count: > 0, Domain.Length: 0 } node)
        {
            return null;
        }

        int? Of(string value) => LengthOf(graph, value, rankOf, depth - 1);
        switch (node.OpType)
        {
            case "Shape":
                return Part(rankOf(node.Input[0]), Attributes.Int(node, "start", 0), Attributes.Int(node, "end", long.MaxValue));
            case "Concat":
                return node.Input.Aggregate((int?)0, (sum, part) => sum + Of(part));
            case "Unsqueeze":
                return rankOf(node.Input[0]) is null or 0 && Axes(graph, node) is { Length: 1 } ? 1 : null;
            case "Gather" when node.Input.Count > 1:
                return Of(node.Input[1]);
            case "Slice":
                long[]? starts = Ints(graph, node, "starts", 1), ends = Ints(graph, node, "ends", 2);
                bool isPlain = Ints(graph, node, "axes", 3) is null or [0] && (node.Input.Count < 5 || Ints(graph, node, "", 4) is [1]);
                if (!isPlain || starts is not [var start] || ends is not [var end])
                {
                    return null;
                }

                // Of a shape of unknown length, what is asked for is there.
                return Of(node.Input[0]) is { } whole ? Part(whole, start, end)
                    : start >= 0 && end >= start && end < 64 ? (int)(end - start) : null;
            case "Cast" or "Identity" or "Abs" or "Neg":
                return Of(node.Input[0]);
            case "Reshape" when node.Input.Count > 1 && graph.Constant(node.Input[1]) is { } shape:
                return IntTensor.Read(shape) is [> 0 and < 64 and var length] ? (int)length : null;
            case "Add" or "Sub" or "Mul" or "Div" or "Mod" or "Max" or "Min" or "Where" or "Equal":
                bool IsScalar(string value) => graph.Constant(value)?.Dims.Count == 0 || rankOf(value) == 0;
                int?[] lengths = [.. node.Input.Select(input => IsScalar(input) ? 1 : Of(input))];
                return lengths.Contains(null) ? null : lengths.Max();
            default:
                return null;
        }
    }

    /// <summary>The length of what begins at <paramref name="start"/> and ends before <paramref name="end"/>.</summary>
    private static int? Part(int? length, long start, long end)
    {
        if (length is not { } count)
        {
            return null;
        }

        long from = Math.Clamp(start < 0 ? start + count : start, 0, count), to = Math.Clamp(end < 0 ? end + count : end, 0, count);
        return (int)Math.Max(0, to - from);
    }

    private static long[]? Ints(GraphIndex graph, NodeProto node, string attribute, int input) =>
        node.Input.ElementAtOrDefault(input) is { Length: > 0 } value
            ? graph.Constant(value) is { } tensor ? IntTensor.Read(tensor) : []
            : Attributes.Ints(node, attribute)?.ToArray();

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
