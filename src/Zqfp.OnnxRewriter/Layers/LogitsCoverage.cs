using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>Tells whether a model gives logits for every token or, its head pruned for generation, for the last one alone.</summary>
public static class LogitsCoverage
{
    /// <summary>What shows that <paramref name="logits"/> do not cover every token, or null where nothing does.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="layers">Its linear layers.</param>
    /// <param name="logits">The output [batch, length, vocabulary].</param>
    public static string? Refusal(GraphIndex graph, IReadOnlyList<LinearLayer> layers, string logits)
    {
        if (graph.TypeOf(logits)?.TensorType?.Shape?.Dim is { } dims && (dims.Count == 2 || (dims.Count == 3 && dims[1].DimValue == 1)))
        {
            string shape = string.Join(", ", dims.Select(dim => dim.HasDimValue ? $"{dim.DimValue}" : dim.DimParam));
            return $"'{logits}' is declared as [{shape}]";
        }

        HashSet<string> body = [.. layers.Where(layer => !layer.IsHead).Select(layer => layer.Output)];
        HashSet<NodeProto> computed = Reachability.Descendants(graph, layers.Select(layer => layer.Nodes[0]));
        NodeProto? pick = Reachability.Ancestors(graph, [logits], body.Contains)
            .FirstOrDefault(node => computed.Contains(node) && PicksTokens(graph, node));
        return pick is null ? null : $"{GraphIndex.Describe(pick)} picks tokens before the head";
    }

    /// <summary>Whether the node takes some positions of the second dimension. A Slice from the beginning is what exporters write for all of them.</summary>
    private static bool PicksTokens(GraphIndex graph, NodeProto node) => node switch
    {
        { Domain.Length: > 0 } => false,
        { OpType: "Gather" } => Attributes.Int(node, "axis", 0) is 1 or -2,
        { OpType: "GatherND" } => true,
        { OpType: "Slice" } => Ints(graph, node, 3) is [1 or -2] && Ints(graph, node, 1) is [not 0],
        _ => false,
    };

    private static long[]? Ints(GraphIndex graph, NodeProto node, int input)
    {
        TensorProto? tensor = node.Input.ElementAtOrDefault(input) is { Length: > 0 } value ? graph.Constant(value) : null;
        return tensor is null ? null : IntTensor.Read(tensor);
    }
}
