using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Finds the linear layers of a graph: MatMul and Gemm nodes with a constant weight of two inputs or more on the right.
/// </summary>
/// <remarks><see cref="LinearForms"/> says other products in this form.</remarks>
internal static class LinearLayerFinder
{
    /// <summary>The linear layers that <paramref name="logits"/> depends on, in the order they run.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="logits">The output of interest.</param>
    public static IReadOnlyList<LinearLayer> Find(GraphIndex graph, string logits)
    {
        HashSet<NodeProto> live = Reachability.Ancestors(graph, [logits], stop: _ => false);
        List<LinearLayer> found = [];
        HashSet<string> named = [.. graph.Nodes.Where(node => node.Name.Length > 0).Select(node => node.Name)];
        HashSet<string> names = new(StringComparer.Ordinal);
        foreach (NodeProto node in graph.Nodes.Where(live.Contains))
        {
            if (ExpertLayers.Match(graph, node, live) is { } experts)
            {
                found.AddRange(experts);
            }
            else if (Match(graph, node) is { } layer)
            {
                found.Add(layer with { Name = Unique(node, names, named) });
            }
        }

        HashSet<NodeProto> parts = PartsOf(found);
        return MarkHeads(graph, [.. found.Where(layer => !parts.Contains(layer.Nodes[0]))], logits);
    }

    /// <summary>Products of constants that the weights of layers are computed by: they are no layers themselves.</summary>
    public static HashSet<NodeProto> PartsOf(IEnumerable<LinearLayer> layers) =>
        new(layers.SelectMany(layer => layer.Source.Computed?.Products ?? []), ReferenceEqualityComparer.Instance);

    /// <summary>
    /// The node's name, or its output's; a number behind it where another layer has it. An unnamed node does not take a named one's name.
    /// </summary>
    private static string Unique(NodeProto node, HashSet<string> names, HashSet<string> named)
    {
        string wanted = node.Name.Length > 0 ? node.Name : node.Output[0];
        string name = wanted;
        for (int i = 2; (node.Name.Length == 0 && named.Contains(name)) || !names.Add(name); i++)
        {
            name = FormattableString.Invariant($"{wanted}_{i}");
        }

        return name;
    }

    private static LinearLayer? Match(GraphIndex graph, NodeProto node)
    {
        bool isGemm = node.OpType == "Gemm" && node.Domain.Length == 0;
        bool isMatMul = node.OpType == "MatMul" && node.Domain.Length == 0;
        if (!(isGemm || isMatMul) || node.Input.Count < 2 || ConstantWeight.Trace(graph, node.Input[1]) is not { } weight
            || QuantizedNames.IsPart(weight.Name))
        {
            return null;
        }

        if (isGemm && (Attributes.Int(node, "transA", 0) != 0 || Attributes.Float(node, "alpha", 1) != 1
            || Attributes.Float(node, "beta", 1) != 1))
        {
            return null;
        }

        // The reader of a MatMul sees [K, N]; of a Gemm with transB, [N, K].
        bool readInputMajor = isMatMul || Attributes.Int(node, "transB", 0) == 0;
        bool storedInputMajor = readInputMajor != weight.Transposed;
        long inFeatures = weight.Dims[storedInputMajor ? 0 : 1];
        long outFeatures = weight.Dims[storedInputMajor ? 1 : 0];
        if (inFeatures is < 2 or > int.MaxValue || outFeatures is 0 or > int.MaxValue)
        {
            // With one input it is an outer product.
            return null;
        }

        string? gemmBias = isGemm && node.Input.Count > 2 && node.Input[2].Length > 0 ? node.Input[2] : null;
        if (gemmBias is not null && !IsBias(graph, gemmBias, outFeatures))
        {
            return null;
        }

        NodeProto? add = gemmBias is null ? BiasAdd(graph, node, outFeatures) : null;
        NodeProto last = add ?? node;
        return new LinearLayer
        {
            Name = node.Name.Length > 0 ? node.Name : node.Output[0],
            Module = Module(node),
            Nodes = add is null ? [node] : [node, add],
            Input = node.Input[0],
            Output = last.Output[0],
            Source = weight,
            StoredInputMajor = storedInputMajor,
            InFeatures = (int)inFeatures,
            OutFeatures = (int)outFeatures,
            Bias = gemmBias ?? add?.Input.Single(input => input != node.Output[0]),
            Type = weight.Type,
            IsTied = graph.SameData(weight.Name).Any(name => IsLookedUp(graph, name)),
        };
    }

    /// <summary>PyTorch's exporter writes the modules around a node as a list, from the outermost to the node itself.</summary>
    internal static string? Module(NodeProto node)
    {
        string? scopes = node.MetadataProps.FirstOrDefault(entry => entry.Key == "pkg.torch.onnx.name_scopes")?.Value;
        return scopes?.Trim('[', ']').Split(',').SkipLast(1).LastOrDefault()?.Trim(' ', '\'', '"') is { Length: > 0 } module
            ? module
            : null;
    }

    /// <summary>The Add of a constant [N] that alone reads the product, if there is one.</summary>
    private static NodeProto? BiasAdd(GraphIndex graph, NodeProto product, long outFeatures)
    {
        string value = product.Output[0];
        return graph.Consumers(value) is [{ OpType: "Add" } add] && !graph.IsOutput(value)
            && add.Input.Any(input => input != value && IsBias(graph, input, outFeatures)) ? add : null;
    }

    private static bool IsBias(GraphIndex graph, string value, long outFeatures) =>
        graph.Initializer(value) is { Dims: [var length] } && length == outFeatures;

    /// <summary>
    /// Whether rows of the constant, or of what nodes make of it alone, are looked up, as an embedding's are. Whatever else reads it, such
    /// as a norm of the weights, goes on reading the constant.
    /// </summary>
    private static bool IsLookedUp(GraphIndex graph, string constant)
    {
        Stack<string> open = new([constant]);
        HashSet<string> seen = new(StringComparer.Ordinal);
        while (open.TryPop(out string? value))
        {
            foreach (NodeProto reader in graph.Consumers(value))
            {
                if (LooksUp(graph, reader, value))
                {
                    return true;
                }

                bool isFollowed = (ConstantWeight.PassesThrough(reader) && reader.Input[0] == value)
                    || (reader.Output.Count > 0 && !ProductNode.Is(reader) && IsConstant(graph, reader, seen));
                if (isFollowed && seen.Add(reader.Output[0]))
                {
                    open.Push(reader.Output[0]);
                }
            }
        }

        return false;
    }

    /// <summary>Whether all that the node reads is constant, or in <paramref name="made"/> of constants.</summary>
    private static bool IsConstant(GraphIndex graph, NodeProto node, HashSet<string> made) =>
        GraphIndex.ReadBy(node).All(input => made.Contains(input) || graph.Constant(input) is not null);

    private static bool LooksUp(GraphIndex graph, NodeProto node, string table) => node.OpType switch
    {
        "Gather" or "GatherND" or "GatherElements" or "GatherBlockQuantized" =>
            node.Input[0] == table && graph.Constant(node.Input[1]) is null,
        "EmbedLayerNormalization" => true,
        _ => Subgraphs.Of(node).SelectMany(body => body.Node).Any(inner => inner.Input.Contains(table) && LooksUp(graph, inner, table)),
    };

    private static IReadOnlyList<LinearLayer> MarkHeads(GraphIndex graph, List<LinearLayer> layers, string logits)
    {
        HashSet<NodeProto> products = new(layers.Select(layer => layer.Nodes[0]), ReferenceEqualityComparer.Instance);
        HashSet<string> outputs = [.. layers.Select(layer => layer.Output)];
        outputs.UnionWith(graph.Nodes.Where(node => !products.Contains(node) && ProductNode.Outputs(graph, node) is not null)
            .SelectMany(node => node.Output));
        HashSet<NodeProto> afterLastLayer = Reachability.Sources(graph, [logits], outputs.Contains);
        IReadOnlyList<LinearLayer> named = ExpertLayers.NameModules([.. layers.Select(layer => layer with
        {
            IsHead = layer.Output == logits || graph.Consumers(layer.Output).Any(afterLastLayer.Contains),
        })]);
        return RoutingWeights.MarkInner(graph, RoutingWeights.MarkRouters(graph, RoutingWeights.Mark(graph, named)));
    }
}
