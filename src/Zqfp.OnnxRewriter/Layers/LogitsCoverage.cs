using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>Tells whether a model gives logits for every token or, its head pruned for generation, for the last one alone.</summary>
internal static class LogitsCoverage
{
    /// <summary>What shows that <paramref name="logits"/> do not cover every token, or null where nothing does.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="layers">Its linear layers.</param>
    /// <param name="logits">The output [batch, length, vocabulary].</param>
    public static string? Refusal(GraphIndex graph, IReadOnlyList<LinearLayer> layers, string logits)
    {
        if (graph.TypeOf(logits)?.TensorType?.Shape?.Dim is { } dims
            && ((dims.Count == 2 && !AreFlat(graph, logits, dims[0])) || (dims.Count == 3 && dims[1].DimValue == 1)))
        {
            string shape = string.Join(", ", dims.Select(dim => dim.HasDimValue ? $"{dim.DimValue}" : dim.DimParam));
            return $"'{logits}' is declared as [{shape}]";
        }

        HashSet<string> body = [.. layers.Where(layer => !layer.IsHead).Select(layer => layer.Output)];
        HashSet<NodeProto> computed = Reachability.Descendants(graph, layers.Select(layer => layer.Nodes[0]));
        NodeProto? pick = Reachability.Sources(graph, [logits], body.Contains)
            .FirstOrDefault(node => computed.Contains(node) && PicksTokens(graph, node) && IsOnEveryPath(graph, node, body, logits));
        return pick is null ? null : $"{GraphIndex.Describe(pick)} picks tokens before the head";
    }

    /// <summary>
    /// Whether logits of two dimensions are those of every token, one window behind another: the ids have one dimension, a Reshape to
    /// [-1, vocabulary] makes them, or their first dimension is said to be another than the batch.
    /// </summary>
    private static bool AreFlat(GraphIndex graph, string logits, TensorShapeProto.Types.Dimension rows)
    {
        IReadOnlyList<TensorShapeProto.Types.Dimension>? ids =
            graph.Inputs.FirstOrDefault(input => input.Name == graph.Ids)?.Type?.TensorType?.Shape?.Dim;
        return ids switch
        {
            [_] => true,
            [{ HasDimValue: true, DimValue: var batch }, { HasDimValue: true, DimValue: > 1 and var length }] when rows.HasDimValue =>
                rows.DimValue == (Int128)batch * length,
            _ when rows.HasDimValue => false,
            [{ DimParam.Length: > 0 } batch, _] when rows.DimParam.Length > 0 && batch.DimParam != rows.DimParam => true,
            _ => IsReshapedToRows(graph, logits),
        };
    }

    private static bool IsReshapedToRows(GraphIndex graph, string value)
    {
        while (graph.Producer(value) is { OpType: "Identity" or "Cast" } node)
        {
            value = node.Input[0];
        }

        return graph.Producer(value) is { OpType: "Reshape", Input.Count: > 1 } reshape && graph.Constant(reshape.Input[1]) is { } shape
            && IntTensor.Read(shape) is [-1, > 0];
    }

    /// <summary>
    /// Whether all that the logits depend on comes through the node. An expert works on picked tokens too, but the residual stream passes
    /// it by; and what picks expert weights, or a part of a mask, leaves the rest of the way open.
    /// </summary>
    private static bool IsOnEveryPath(GraphIndex graph, NodeProto pick, HashSet<string> body, string logits)
    {
        HashSet<string> picked = [.. pick.Output];
        bool passesBy = false;
        Reachability.Sources(graph, [logits], value =>
        {
            passesBy |= body.Contains(value);
            return picked.Contains(value) || body.Contains(value);
        });
        return !passesBy;
    }

    /// <summary>
    /// Whether the node takes some positions of the second dimension. A Slice from the beginning is what exporters write for all of them.
    /// </summary>
    private static bool PicksTokens(GraphIndex graph, NodeProto node) => node switch
    {
        { Domain.Length: > 0 } => false,
        { OpType: "Gather" } => Attributes.Int(node, "axis", 0) is 1 or -2,
        { OpType: "GatherND" } => true,
        { OpType: "Slice" } => PicksTokens(Ints(graph, node, "starts", 1), Ints(graph, node, "ends", 2), Ints(graph, node, "axes", 3)),
        _ => false,
    };

    private static bool PicksTokens(long[]? starts, long[]? ends, long[]? axes)
    {
        int length = starts?.Length ?? ends?.Length ?? 0;
        int axis = axes is null ? (length > 1 ? 1 : -1) : Array.FindIndex(axes, axis => axis is 1 or -2);
        return axis >= 0 && (starts?.ElementAtOrDefault(axis) is not (null or 0) || ends?.ElementAtOrDefault(axis) is 1 or < -1);
    }

    private static long[]? Ints(GraphIndex graph, NodeProto node, string attribute, int input)
    {
        TensorProto? tensor = node.Input.ElementAtOrDefault(input) is { Length: > 0 } value ? graph.Constant(value) : null;
        return tensor is null ? Attributes.Ints(node, attribute)?.ToArray() : IntTensor.Read(tensor);
    }
}
