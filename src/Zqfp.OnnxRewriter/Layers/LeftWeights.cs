using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Turns products with the weight on the left, <c>Y = W X</c>, into products with the weight on the right between two transpositions,
/// <c>Y = (X^T W^T)^T</c>: then they are linear layers like all others.
/// </summary>
public static class LeftWeights
{
    /// <summary>The graph with such products turned; <paramref name="graph"/> itself, which never changes, where there are none.</summary>
    /// <remarks>A MatMul is turned where the rank of X is known: declared, or that of a Transpose that makes it.</remarks>
    /// <param name="graph">The graph.</param>
    /// <param name="file">The file to name in errors.</param>
    /// <exception cref="ZqfpException">ZQFP1004: a name that this makes is taken.</exception>
    public static GraphIndex Turn(GraphIndex graph, string file)
    {
        Dictionary<NodeProto, NodeProto[]> turned = new(ReferenceEqualityComparer.Instance);
        foreach (NodeProto node in graph.Nodes)
        {
            if (Turn(graph, node) is { } nodes)
            {
                turned.Add(node, nodes);
            }
        }

        if (turned.Count == 0)
        {
            return graph;
        }

        GraphProto changed = GraphShell.Of(graph.Graph);
        changed.Initializer.AddRange(graph.Graph.Initializer);
        changed.Node.AddRange(graph.Nodes.SelectMany(node => turned.GetValueOrDefault(node) ?? [node]));
        return new GraphIndex(changed, file);
    }

    private static NodeProto[]? Turn(GraphIndex graph, NodeProto node)
    {
        if (node.Domain.Length > 0 || node.OpType is not ("MatMul" or "Gemm") || node.Input.Count < 2
            || ConstantWeight.Trace(graph, node.Input[0]) is null || ConstantWeight.Trace(graph, node.Input[1]) is not null)
        {
            return null;
        }

        bool isGemm = node.OpType == "Gemm";
        bool isPlain = node.Input.Count == 2 && Attributes.Float(node, "alpha", 1) == 1;
        int? rank = isGemm ? 2 : Rank(graph, node.Input[1]);
        if (rank is not { } dims || dims < 2 || (isGemm && !isPlain))
        {
            return null;
        }

        bool weightIsTurned = isGemm && Attributes.Int(node, "transA", 0) != 0;
        bool inputIsTurned = isGemm && Attributes.Int(node, "transB", 0) != 0;
        string output = node.Output[0];
        string input = inputIsTurned ? node.Input[1] : $"{output}.zqfp.input_t";
        string weight = weightIsTurned ? node.Input[0] : $"{output}.zqfp.weight_t";
        var product = new NodeProto { OpType = "MatMul", Name = node.Name, Input = { input, weight }, Output = { $"{output}.zqfp.product_t" } };
        return
        [
            .. inputIsTurned ? [] : (NodeProto[])[Transpose(node.Input[1], input, dims)],
            .. weightIsTurned ? [] : (NodeProto[])[Transpose(node.Input[0], weight, 2)],
            product,
            Transpose(product.Output[0], output, dims),
        ];
    }

    /// <summary>A node that exchanges the last two dimensions.</summary>
    private static NodeProto Transpose(string input, string output, int rank)
    {
        long[] order = [.. Enumerable.Range(0, rank - 2).Select(i => (long)i), rank - 1, rank - 2];
        return new NodeProto { OpType = "Transpose", Name = $"{output}.Transpose", Input = { input }, Output = { output }, Attribute = { Attributes.Make("perm", order) } };
    }

    private static int? Rank(GraphIndex graph, string value) =>
        graph.Producer(value) is { OpType: "Transpose", Domain: "" } transpose && Attributes.Ints(transpose, "perm") is { } order
            ? order.Count
            : graph.TypeOf(value)?.TensorType?.Shape?.Dim.Count;
}
