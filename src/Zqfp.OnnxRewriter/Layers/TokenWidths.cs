using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>How many numbers a value has for each token, at most.</summary>
/// <param name="Numbers">All of them.</param>
/// <param name="Last">Those of the last dimension; null where that is not known.</param>
internal readonly record struct TokenWidth(long Numbers, long? Last)
{
    /// <summary>A value [.., <paramref name="length"/>] whose other dimensions are the tokens.</summary>
    public static TokenWidth Row(long length) => new(length, length);

    /// <summary>Whether every dimension but the last is one of tokens.</summary>
    public bool IsRow => Last == Numbers;
}

/// <summary>
/// How many numbers values have for each token, at most, where no shape is declared: told from the weights that they are multiplied with
/// and the nodes between. What the graph does not tell is left out, as scores of attention, whose number depends on the window.
/// </summary>
/// <remarks>
/// Widths follow the nodes from what makes a value to what reads it; then back, since no operand of a broadcasting operator is larger than
/// its result; and forward again.
/// </remarks>
internal sealed class TokenWidths
{
    /// <summary>Operators whose first output has the shape of their first input.</summary>
    private static readonly HashSet<string> Keeping =
    [
        "Abs", "BiasGelu", "Cast", "CastLike", "Ceil", "Clip", "Cos", "Dropout", "Elu", "Erf", "Exp", "FastGelu", "Floor", "Gelu",
        "HardSigmoid", "HardSwish", "Identity", "LayerNormalization", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization", "Mish", "MoE",
        "Neg", "Not", "QMoE", "QuickGelu", "RMSNormalization", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign",
        "SimplifiedLayerNormalization", "Sin", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "Softmax", "Softplus",
        "Softsign", "Sqrt", "Tanh",
    ];

    /// <summary>Operators whose first output has the numbers of their first input in another shape.</summary>
    private static readonly HashSet<string> Reshaping = ["Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"];

    private static readonly HashSet<string> Broadcasting =
    [
        "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu",
        "Pow", "Sub", "Sum", "Where", "Xor",
    ];

    private readonly GraphIndex _graph;
    private readonly Dictionary<NodeProto, LinearLayer> _layers = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<string, TokenWidth> _known = new(StringComparer.Ordinal);

    /// <summary>Tells what all linear <paramref name="layers"/> of <paramref name="graph"/>, and the nodes between, say.</summary>
    public TokenWidths(GraphIndex graph, IReadOnlyList<LinearLayer> layers)
    {
        _graph = graph;
        foreach (LinearLayer layer in layers.Where(layer => layer.Expert is null))
        {
            _layers[layer.Nodes[0]] = layer;
        }

        Forward();
        Backward();
        Forward();

        // Rows of experts: one for each that a token goes to.
        foreach (LinearLayer layer in layers.Where(layer => layer.Expert is not null))
        {
            long rows = Math.Max(1, (long)Math.Round(ExpertShare.Of(graph, layer) * layer.Expert!.Count));
            _known.TryAdd(layer.Input, new TokenWidth(rows * layer.InFeatures, layer.InFeatures));
            _known.TryAdd(layer.Nodes[0].Output[0], new TokenWidth(rows * layer.OutFeatures, layer.OutFeatures));
        }

        Forward();
    }

    /// <summary>What is known of <paramref name="value"/>; null where nothing is.</summary>
    public TokenWidth? Of(string value) => _known.TryGetValue(value, out TokenWidth width) ? width : null;

    private void Forward()
    {
        foreach (NodeProto node in _graph.Nodes)
        {
            if (_layers.TryGetValue(node, out LinearLayer? layer))
            {
                AddLayer(layer);
            }
            else if (node.Input.Count > 0 && node.Output.Count > 0)
            {
                AddOutputs(node);
            }
        }
    }

    /// <summary>A layer's weight tells what it reads, unless the value has dimensions besides tokens and columns.</summary>
    private void AddLayer(LinearLayer layer)
    {
        if (Of(layer.Input)?.Last != layer.InFeatures && _graph.RankOf(layer.Input) is 2 or 3)
        {
            _known[layer.Input] = TokenWidth.Row(layer.InFeatures);
        }

        if (Of(layer.Input) is { } read && read.Last == layer.InFeatures)
        {
            _known.TryAdd(
                layer.Nodes[0].Output[0], new TokenWidth(read.Numbers / layer.InFeatures * layer.OutFeatures, layer.OutFeatures));
        }
    }

    private void AddOutputs(NodeProto node)
    {
        if (node.OpType == "Split")
        {
            AddParts(node);
        }
        else if (Made(node) is { } made)
        {
            // The others of TopK are of one shape; the fourth of a fused norm is the sum that it takes.
            foreach (string output in node.OpType == "TopK" ? node.Output
                : node.OpType.StartsWith("Skip", StringComparison.Ordinal) ? node.Output.Where((_, i) => i is 0 or 3)
                : node.Output.Take(1))
            {
                _known.TryAdd(output, made);
            }
        }
    }

    private TokenWidth? Made(NodeProto node)
    {
        TokenWidth? first = Of(node.Input[0]);
        switch (node.OpType)
        {
            case "Gather" or "GatherBlockQuantized" when node.Input.Count > 1 && _graph.RankOf(node.Input[1]) is <= 2
                && Attributes.Int(node, "axis", 0) == 0 && RowOf(node.Input[0]) is { } row:
                return new TokenWidth(row * (Of(node.Input[1])?.Numbers ?? 1), row);
            case "EmbedLayerNormalization" when node.Input.Count > 2:
                return RowOf(node.Input[2]) is { } embedded ? TokenWidth.Row(embedded) : null;
            case "GroupQueryAttention" when first is { IsRow: true } query:
                return TokenWidth.Row(node.Input.Count > 1 && node.Input[1].Length > 0 ? query.Numbers : QueriesOf(node, query.Numbers));
            case "MultiHeadAttention" when node.Input.Count > 2 && node.Input[2].Length > 0:
                return Of(node.Input[2]) is { } values ? TokenWidth.Row(values.Numbers) : null;
            case "Reshape" when node.Input.Count > 1 && _graph.Producer(node.Input[1]) is { OpType: "Shape", Attribute.Count: 0 } shape
                && Of(shape.Input[0]) is { } like:
                return like;
            case "Concat":
                return Joined(node);
            case "Slice":
            case "Gather" when node.Input.Count > 1 && _graph.Constant(node.Input[1])?.Dims.All(dim => dim == 1) == true:
                return first is { } whole ? new TokenWidth(whole.Numbers, null) : null;
            case "TopK" when node.Input.Count > 1:
                return first is { } chosen ? Chosen(node, chosen) : null;
            case "NonZero" when _graph.RankOf(node.Input[0]) is { } rank:
                return first is { } places ? new TokenWidth(places.Numbers * rank, null) : null;
            case var op when op.StartsWith("Reduce", StringComparison.Ordinal) || op is "ArgMax" or "ArgMin":
                return first is { } summed ? Reduced(node, summed) : null;
            case var op when Keeping.Contains(op):
                return first;
            case var op when Reshaping.Contains(op):
                return first is { } kept ? new TokenWidth(kept.Numbers, LastOf(node, kept)) : null;
            case var op when Broadcasting.Contains(op):
                return Broadcast(node);
            default:
                return null;
        }
    }

    /// <summary>The length of the rows of a constant table.</summary>
    private long? RowOf(string table) =>
        ConstantWeight.TraceShape(_graph, table) is { } weight ? weight.Dims[weight.Transposed ? 0 : 1] : null;

    /// <summary>The queries among queries, keys and values that are one row.</summary>
    private static long QueriesOf(NodeProto attention, long all)
    {
        long heads = Attributes.Int(attention, "num_heads", 1);
        long shared = Attributes.Int(attention, "kv_num_heads", 0);
        return heads > 0 && shared > 0 && all % (heads + (2 * shared)) == 0 ? all / (heads + (2 * shared)) * heads : all;
    }

    private void AddParts(NodeProto split)
    {
        if (Of(split.Input[0]) is not { } whole)
        {
            return;
        }

        long axis = Attributes.Int(split, "axis", 0);
        bool isLast = axis == -1 || axis + 1 == _graph.RankOf(split.Input[0]);
        long[]? sizes = split.Input.Count > 1
            ? _graph.Constant(split.Input[1]) is { } constant ? IntTensor.Read(constant) : null
            : Attributes.Ints(split, "split")?.ToArray();
        sizes ??= split.Input.Count < 2 && whole.Last % split.Output.Count == 0
            ? [.. Enumerable.Repeat(whole.Last!.Value / split.Output.Count, split.Output.Count)]
            : null;
        bool areKnown = isLast && sizes?.Length == split.Output.Count && sizes.Sum() == whole.Last;
        for (int i = 0; i < split.Output.Count; i++)
        {
            _known.TryAdd(split.Output[i], areKnown
                ? new TokenWidth(whole.Numbers / whole.Last!.Value * sizes![i], sizes[i])
                : new TokenWidth(whole.Numbers, null));
        }
    }

    private TokenWidth? Joined(NodeProto concat)
    {
        TokenWidth?[] parts = [.. concat.Input.Select(Of)];
        if (Array.Exists(parts, part => part is null))
        {
            return null;
        }

        bool isLast = Attributes.Int(concat, "axis", 0) is var axis && (axis == -1 || axis + 1 == _graph.RankOf(concat.Input[0]));
        return new TokenWidth(parts.Sum(part => part!.Value.Numbers), isLast ? parts.Aggregate(
            (long?)0, (sum, part) => sum + part!.Value.Last) : null);
    }

    private TokenWidth Chosen(NodeProto node, TokenWidth whole) =>
        Attributes.Int(node, "axis", -1) == -1 && whole.Last is > 0
            && _graph.Constant(node.Input[1]) is { } constant && IntTensor.Read(constant) is [> 0 and var count]
            ? new TokenWidth(whole.Numbers / whole.Last.Value * count, count)
            : new TokenWidth(whole.Numbers, null);

    private TokenWidth Reduced(NodeProto node, TokenWidth whole)
    {
        long[]? axes = node.OpType.StartsWith("Arg", StringComparison.Ordinal)
            ? [Attributes.Int(node, "axis", 0)]
            : node.Input.Count > 1 && node.Input[1].Length > 0
                ? _graph.Constant(node.Input[1]) is { } constant ? IntTensor.Read(constant) : null
                : Attributes.Ints(node, "axes")?.ToArray();
        bool isLast = axes is [var axis] && (axis == -1 || axis + 1 == _graph.RankOf(node.Input[0]));
        return isLast && whole.Last is > 0
            ? new TokenWidth(whole.Numbers / whole.Last.Value, Attributes.Int(node, "keepdims", 1) != 0 ? 1 : null)
            : new TokenWidth(whole.Numbers, null);
    }

    /// <summary>The last dimension of what a node that reshapes makes.</summary>
    private long? LastOf(NodeProto node, TokenWidth from)
    {
        switch (node.OpType)
        {
            case "Reshape" when node.Input.Count > 1:
                string shape = node.Input[1];
                shape = _graph.Producer(shape) is { OpType: "Concat" } parts ? parts.Input[^1] : shape;
                return _graph.Constant(shape) is { } constant && IntTensor.Read(constant) is [.., > 0 and var last] ? last : null;
            case "Transpose":
                return Attributes.Ints(node, "perm") is { Count: > 0 } order && order[^1] == order.Count - 1 ? from.Last : null;
            case "Unsqueeze":
                return ConstantAxes(node) is [-1] ? 1 : null;
            default:
                return null;
        }
    }

    private IReadOnlyList<long>? ConstantAxes(NodeProto node) => node.Input.Count > 1
        ? _graph.Constant(node.Input[1]) is { } axes ? IntTensor.Read(axes) : null
        : Attributes.Ints(node, "axes");

    /// <summary>
    /// The largest operand, where all others are rows of its length or of one number, or constants of one row.
    /// </summary>
    private TokenWidth? Broadcast(NodeProto node)
    {
        string[] operands = [.. node.Input.Where(input => input.Length > 0).Distinct()];
        TokenWidth[] widths = [.. operands.Select(Of).OfType<TokenWidth>()];
        if (widths.Length == 0)
        {
            return null;
        }

        TokenWidth largest = widths.MaxBy(width => width.Numbers);
        foreach (string operand in operands)
        {
            if (Of(operand) is { } width)
            {
                bool fits = widths.Length == 1 || (largest.IsRow && width == largest) || width == TokenWidth.Row(1);
                if (!fits)
                {
                    return null;
                }
            }
            else if (RowOfConstant(operand) is not { } length)
            {
                return null;
            }
            else if (largest.Last == 1)
            {
                largest = new TokenWidth(largest.Numbers * length, length);
            }
            else if (length != 1 && length != largest.Last)
            {
                return null;
            }
        }

        return largest;
    }

    /// <summary>The last dimension of a constant of one row, or of a value that has no dimension; null of anything else.</summary>
    private long? RowOfConstant(string value) => _graph.RankOf(value) == 0
        ? 1
        : (_graph.Constant(value)?.Dims ?? ConstantValue.Of(_graph, value)?.Dims) is { } dims && dims.SkipLast(1).All(dim => dim == 1)
            ? dims.LastOrDefault(1)
            : null;

    private void Backward()
    {
        foreach (NodeProto node in _graph.Nodes.Reverse())
        {
            if (node.Output.Count == 0 || Of(node.Output[0]) is not { } made)
            {
                continue;
            }

            bool isBroadcast = Broadcasting.Contains(node.OpType);
            IEnumerable<string> read = isBroadcast || node.OpType.StartsWith("Skip", StringComparison.Ordinal)
                ? node.Input.Take(isBroadcast ? node.Input.Count : 2)
                : Keeping.Contains(node.OpType) || Reshaping.Contains(node.OpType) ? node.Input.Take(1) : [];
            foreach (string value in read.Where(value => value.Length > 0 && _graph.Constant(value) is null))
            {
                _known.TryAdd(value, Reshaping.Contains(node.OpType) ? new TokenWidth(made.Numbers, null) : made);
            }
        }
    }
}
