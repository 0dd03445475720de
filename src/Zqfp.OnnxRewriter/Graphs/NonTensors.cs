using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Finds the nodes that make sequences or optionals: such values can be carried from one run of a graph to another by nothing.
/// </summary>
internal static class NonTensors
{
    private static readonly HashSet<string> Makers =
        ["SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase", "SequenceMap", "SplitToSequence", "Optional"];

    /// <summary>The nodes of <paramref name="graph"/> that make a value that is no tensor.</summary>
    public static HashSet<NodeProto> MadeBy(GraphIndex graph)
    {
        HashSet<NodeProto> nodes = new(ReferenceEqualityComparer.Instance);
        HashSet<string> values = new(StringComparer.Ordinal);
        values.UnionWith(graph.Inputs.Where(input => IsNonTensor(input.Type)).Select(input => input.Name));
        foreach (NodeProto node in graph.Nodes)
        {
            bool[] made = [.. node.Output.Select(
                (output, i) => output.Length > 0 && (IsNonTensor(graph.TypeOf(output)) || Makes(node, i, values.Contains)))];
            values.UnionWith(node.Output.Where((_, i) => made[i]));
            if (made.Contains(true))
            {
                nodes.Add(node);
            }
        }

        return nodes;
    }

    private static bool IsNonTensor(TypeProto? type) => type?.SequenceType is not null || type?.OptionalType is not null;

    private static bool Makes(NodeProto node, int output, Func<string, bool> isNonTensor) => node.OpType switch
    {
        "SequenceAt" or "SequenceLength" or "ConcatFromSequence" or "OptionalHasElement" => false,
        "Identity" or "OptionalGetElement" => node.Input.Any(isNonTensor),
        "If" or "Loop" => Subgraphs.Of(node).Any(body => IsNonTensorInside(body, output + (node.OpType == "Loop" ? 1 : 0), isNonTensor)),
        _ => Makers.Contains(node.OpType),
    };

    private static bool IsNonTensorInside(GraphProto body, int output, Func<string, bool> isNonTensor)
    {
        if (body.Output.ElementAtOrDefault(output) is not { } value)
        {
            return false;
        }

        HashSet<string> local = new(StringComparer.Ordinal);
        local.UnionWith(body.Input.Where(input => IsNonTensor(input.Type)).Select(input => input.Name));
        foreach (NodeProto node in body.Node)
        {
            local.UnionWith(node.Output.Where((_, i) => Makes(node, i, name => local.Contains(name) || isNonTensor(name))));
        }

        return IsNonTensor(value.Type) || local.Contains(value.Name) || isNonTensor(value.Name);
    }
}
