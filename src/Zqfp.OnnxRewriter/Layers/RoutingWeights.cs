using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Finds the weight [.., 1] that each token's share of a layer is multiplied with before anything else sees it: where it is 0, as a
/// router's is for an expert that the token does not go to, the layer might make anything of the token.
/// </summary>
/// <remarks>
/// Nothing here knows a router. Every way from the layer leads, through nodes that treat tokens apart, to a product with that one value. A
/// value that is never 0 does no harm: then all tokens count.
/// </remarks>
internal static class RoutingWeights
{
    /// <summary>Nodes looked at before the search for one layer is given up.</summary>
    private const int Limit = 64;

    /// <summary>The same where rows may be divided among all experts and put together again.</summary>
    private const int ManyExperts = 2048;

    private static readonly HashSet<string> TokenWise =
    [
        "Abs", "Add", "Cast", "Celu", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity", "IsNaN",
        "LeakyRelu", "Max", "Min", "Mish", "Mul", "Neg", "Pow", "Relu", "Reshape", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt",
        "Squeeze", "Sub", "Swish", "Tanh", "Unsqueeze", "Where",
        "BiasGelu", "FastGelu", "QuickGelu", "Silu",
    ];

    /// <summary>Whether a node makes each number of one number, or of one of each input.</summary>
    public static bool IsElementWise(NodeProto node) => TokenWise.Contains(node.OpType);

    /// <summary>Sets <see cref="LinearLayer.RoutedBy"/>.</summary>
    public static IReadOnlyList<LinearLayer> Mark(GraphIndex graph, IReadOnlyList<LinearLayer> layers)
    {
        Dictionary<string, string?> found = new(StringComparer.Ordinal);
        HashSet<string> single = [.. layers.Where(layer => layer.OutFeatures == 1).Select(layer => layer.Output)];
        return
        [
            .. layers.Select(layer =>
            {
                if (!found.TryGetValue(layer.Output, out string? weight))
                {
                    weight = Find(graph, layer.Output, layer.Expert is not null);
                    found.Add(layer.Output, weight = weight is not null && IsGate(graph, weight, single) ? null : weight);
                }

                return weight is null ? layer : layer with { RoutedBy = weight };
            })
        ];
    }

    /// <summary>Sets <see cref="LinearLayer.IsInner"/>.</summary>
    public static IReadOnlyList<LinearLayer> MarkInner(GraphIndex graph, IReadOnlyList<LinearLayer> layers)
    {
        HashSet<NodeProto> inner = new(ReferenceEqualityComparer.Instance);
        foreach (string output in layers.Where(layer => layer.IsExpert).Select(layer => layer.Output).Distinct())
        {
            inner.UnionWith(NextProducts(graph, output));
        }

        return [.. layers.Select(layer => layer.IsExpert && inner.Contains(layer.Nodes[0]) ? layer with { IsInner = true } : layer)];
    }

    /// <summary>The products that read, token by token, what is made of <paramref name="output"/>.</summary>
    private static IEnumerable<NodeProto> NextProducts(GraphIndex graph, string output)
    {
        Stack<(string Value, bool IsTurned)> open = new([(output, false)]);
        HashSet<(string, bool)> seen = [];
        while (open.TryPop(out (string Value, bool IsTurned) at))
        {
            (string value, bool isTurned) = at;
            if (!seen.Add(at) || seen.Count > ManyExperts)
            {
                continue;
            }

            foreach (NodeProto reader in graph.Consumers(value).Where(reader => isTurned || Weight(graph, reader, value) is null))
            {
                bool isTokenWise = isTurned ? IsTokenWiseTurned(graph, reader) : IsTokenWise(graph, reader, value);
                if (isTokenWise && reader.OpType is "MatMul" or "Gemm" or OperatorNames.ExpertMatMul)
                {
                    yield return reader;
                }
                else if (Turns(reader))
                {
                    open.Push((reader.Output[0], !isTurned));
                }
                else if (isTokenWise || (reader.OpType == "Expand" && reader.Input[0] == value))
                {
                    reader.Output.Where(made => made.Length > 0).ToList().ForEach(made => open.Push((made, isTurned)));
                }
            }
        }
    }

    /// <summary>
    /// Sets <see cref="LinearLayer.Router"/> and <see cref="LinearLayer.IsRouter"/>: no layer stands between it and what tells the experts.
    /// </summary>
    public static IReadOnlyList<LinearLayer> MarkRouters(GraphIndex graph, IReadOnlyList<LinearLayer> layers)
    {
        ILookup<string, LinearLayer> made = layers.ToLookup(layer => layer.Output, StringComparer.Ordinal);
        Dictionary<(string?, string?), LinearLayer[]> known = [];
        LinearLayer[][] routers = [.. layers.Select(layer => layer.IsExpert ? Of(layer.RoutedBy, layer.Expert?.Index) : [])];
        IEnumerable<LinearLayer> dispatching = layers.Where(layer => layer.Expert is not null && layer.RoutedBy is null)
            .Select(layer => (layer.Input, layer.Expert!.Count)).Distinct()
            .SelectMany(rows => Of(Dispatch(graph, rows.Input), null).Where(router => router.OutFeatures == rows.Count));
        HashSet<string> all = [.. routers.SelectMany(found => found).Concat(dispatching).Select(router => router.Name)];
        return
        [
            .. layers.Zip(routers, (layer, found) => layer with
            {
                IsRouter = !layer.IsExpert && all.Contains(layer.Name),
                Router = found is [{ IsExpert: false, Name: var name }] ? name : null,
            })
        ];

        LinearLayer[] Of(string? weight, string? index)
        {
            if (!known.TryGetValue((weight, index), out LinearLayer[]? found))
            {
                List<LinearLayer> last = [];
                Reachability.Ancestors(graph, new[] { weight, index }.OfType<string>(), value =>
                {
                    // Shapes decide nothing, whatever layer made what has them.
                    last.AddRange(made[value]);
                    return made.Contains(value) || graph.Producer(value) is { OpType: "Shape" or "Size", Domain.Length: 0 };
                });
                known.Add((weight, index), found = [.. last.DistinctBy(layer => layer.Name)]);
            }

            return found;
        }
    }

    /// <summary>What rows are multiplied with before experts read them, so that those of other experts are 0; null for nothing.</summary>
    private static string? Dispatch(GraphIndex graph, string rows)
    {
        for (int i = 0; i < Limit && graph.Producer(rows) is { } node; i++)
        {
            switch (node.OpType)
            {
                case "Mul":
                    return node.Input.Select(input => Weight(graph, node, input)).FirstOrDefault(weight => weight is not null);
                case "Einsum" when EinsumEquation.Of(node) is { Output: [.., var inner] } equation:
                    return !equation.Left.Contains(inner) ? node.Input[0] : !equation.Right.Contains(inner) ? node.Input[1] : null;
                case "Cast" or "Expand" or "Identity" or "Reshape" or "Squeeze" or "Transpose" or "Unsqueeze":
                    rows = node.Input[0];
                    break;
                default:
                    return null;
            }
        }

        return null;
    }

    /// <summary>
    /// Whether a weight is what an activation makes of a layer with one output, as the gate of an expert that all tokens go to.
    /// </summary>
    private static bool IsGate(GraphIndex graph, string weight, HashSet<string> single)
    {
        for (int i = 0; i < Limit && !single.Contains(weight); i++)
        {
            if (graph.Producer(weight) is not { OpType: "Cast" or "Identity" or "Reshape" or "Sigmoid" } node)
            {
                return false;
            }

            weight = node.Input[0];
        }

        return single.Contains(weight);
    }

    /// <summary>The weight of what is made of <paramref name="output"/>, or null.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="output">What a layer makes.</param>
    /// <param name="isStacked">Whether each row is one expert's already, so that an Expand to all experts changes nothing.</param>
    private static string? Find(GraphIndex graph, string output, bool isStacked)
    {
        string? weight = null;
        Stack<(string Value, bool IsTurned)> open = new([(output, false)]);
        HashSet<(string, bool)> seen = [];
        while (open.TryPop(out (string Value, bool IsTurned) at))
        {
            if (!seen.Add(at))
            {
                continue;
            }

            (string value, bool isTurned) = at;
            IReadOnlyList<NodeProto> readers = graph.Consumers(value);
            if (seen.Count > ManyExperts || readers.Count == 0 || graph.IsOutput(value))
            {
                return null;
            }

            // Who asks for the shape alone sees no token.
            foreach (NodeProto reader in readers.Where(reader => reader.OpType != "Shape"))
            {
                if (!isTurned && Weight(graph, reader, value) is { } found)
                {
                    if (weight is not null && weight != found)
                    {
                        return null;
                    }

                    weight = found;
                }
                else if (Turns(reader))
                {
                    open.Push((reader.Output[0], !isTurned));
                }
                else if ((isStacked && reader.OpType == "Expand")
                    || (isTurned ? IsTokenWiseTurned(graph, reader) : IsTokenWise(graph, reader, value)))
                {
                    reader.Output.Where(made => made.Length > 0).ToList().ForEach(made => open.Push((made, isTurned)));
                }
                else
                {
                    return null;
                }
            }
        }

        return weight;
    }

    /// <summary>Whether tokens become columns, or rows again.</summary>
    private static bool Turns(NodeProto node) => node.OpType == "Transpose" && Attributes.Ints(node, "perm") is { } order
        && (order is [1, 0] || ExpertPick.ExchangesLast(order));

    /// <summary>Whether a node treats tokens apart that are columns.</summary>
    private static bool IsTokenWiseTurned(GraphIndex graph, NodeProto node)
    {
        return node switch
        {
            { OpType: "Reshape" or "Squeeze" or "Unsqueeze" } => false,
            { OpType: "Split" or "Concat" } => IsRows(Attributes.Int(node, "axis", 0)),
            { OpType: "Slice" } => node.Input.ElementAtOrDefault(3) is { Length: > 0 } axes && graph.Constant(axes) is { } constant
                && IntTensor.Read(constant) is [var axis] && IsRows(axis),
            _ => IsElementWise(node),
        };

        bool IsRows(long axis) => axis == -2 || (axis >= 0 && axis == graph.RankOf(node.Input[0]) - 2);
    }

    /// <summary>The other factor of a Mul, where its last dimension is 1 and that of <paramref name="value"/> is not.</summary>
    private static string? Weight(GraphIndex graph, NodeProto node, string value)
    {
        if (node.OpType != "Mul" || node.Domain.Length > 0 || node.Input.Count != 2 || node.Input.Count(input => input == value) != 1)
        {
            return null;
        }

        string other = node.Input[0] == value ? node.Input[1] : node.Input[0];
        return graph.Constant(other) is null && graph.Producer(other) is not null && LastIsOne(graph, other) && !LastIsOne(graph, value)
            ? other
            : null;
    }

    private static bool IsTokenWise(GraphIndex graph, NodeProto node, string value) => node switch
    {
        { OpType: "MatMul" or "Gemm" } => node.Input[0] == value && ConstantWeight.TraceShape(graph, node.Input[1]) is not null
            && Attributes.Int(node, "transA", 0) == 0,
        { OpType: OperatorNames.ExpertMatMul, Domain: OperatorNames.Domain } => node.Input[0] == value,

        // Rows of one expert under those of another stay rows, together or apart.
        { OpType: "Split" } => Attributes.Int(node, "axis", 0) is var axis && (axis is -1 or 0 || axis == graph.RankOf(value) - 1),
        { OpType: "Slice" } => node.Input.ElementAtOrDefault(3) is { Length: > 0 } axes && graph.Constant(axes) is { } constant
            && IntTensor.Read(constant) is [var axis] && (axis == -1 || axis == graph.RankOf(value) - 1),

        { OpType: "Concat" } => Attributes.Int(node, "axis", 0) is -1 or 0,
        _ => IsElementWise(node),
    };

    private static bool LastIsOne(GraphIndex graph, string value) => LastIsOne(graph, value, new Dictionary<string, bool>(), 0);

    /// <param name="graph">The graph.</param>
    /// <param name="value">The value.</param>
    /// <param name="known">What was found of others: ways part and meet again.</param>
    /// <param name="depth">Nodes between it and the first value.</param>
    private static bool LastIsOne(GraphIndex graph, string value, Dictionary<string, bool> known, int depth)
    {
        if (!known.TryGetValue(value, out bool isOne))
        {
            known[value] = isOne = FindLastIsOne(graph, value, known, depth);
        }

        return isOne;
    }

    private static bool FindLastIsOne(GraphIndex graph, string value, Dictionary<string, bool> known, int depth)
    {
        if (graph.TypeOf(value)?.TensorType?.Shape?.Dim is { Count: > 0 } dims)
        {
            return dims[^1].DimValue == 1;
        }

        return depth < Limit && graph.Producer(value) switch
        {
            { OpType: "Unsqueeze" } node => Axes(graph, node) is { } axes
                && axes.Any(axis => axis == -1 || axis + 1 == graph.RankOf(node.Input[0]) + axes.Length),
            { OpType: "Slice", Input.Count: > 3 } node => Ints(graph, node, 3) is [var axis] && IsLast(graph, node, axis)
                && Ints(graph, node, 1) is [var start] && Ints(graph, node, 2) is [var end] && end - start == 1,
            { OpType: "Gather" } node => graph.Constant(node.Input[1]) is { Dims: [1] }
                && IsLast(graph, node, Attributes.Int(node, "axis", 0)),
            { OpType: "Split" } node => IsLast(graph, node, Attributes.Int(node, "axis", 0)) && PartOf(graph, node, value) == 1,
            { OpType: "Reshape", Input.Count: > 1 } node => Ints(graph, node, 1) is [.., 1],
            { OpType: "Cast" or "Sigmoid" or "Identity" } node => LastIsOne(graph, node.Input[0], known, depth + 1),
            { OpType: "Mul" or "Div" or "Add" or "Where" } node => node.Input.All(input =>
                graph.Constant(input) is { } constant
                    ? constant.Dims.LastOrDefault(1) == 1
                    : LastIsOne(graph, input, known, depth + 1)),
            { OpType: "ReduceSum" or "ReduceMax" } node => Attributes.Int(node, "keepdims", 1) != 0
                && Axes(graph, node)?.Any(axis => IsLast(graph, node, axis)) == true,
            _ => false,
        };
    }

    /// <summary>Whether an axis of the first input is its last, as far as the graph says.</summary>
    private static bool IsLast(GraphIndex graph, NodeProto node, long axis) =>
        axis == -1 || (axis >= 0 && axis + 1 == graph.RankOf(node.Input[0]));

    /// <summary>The length of a part, or null where the graph does not say.</summary>
    private static long? PartOf(GraphIndex graph, NodeProto node, string value) =>
        (node.Input.Count > 1 ? Ints(graph, node, 1) : Attributes.Ints(node, "split")?.ToArray())
            ?.Cast<long?>().ElementAtOrDefault(node.Output.IndexOf(value));

    private static long[]? Axes(GraphIndex graph, NodeProto node) =>
        node.Input.Count > 1 ? Ints(graph, node, 1) : Attributes.Ints(node, "axes")?.ToArray();

    private static long[]? Ints(GraphIndex graph, NodeProto node, int input) =>
        graph.Constant(node.Input[input]) is { } tensor ? IntTensor.Read(tensor) : null;
}
