using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>Walks along the edges of a graph.</summary>
internal static class Reachability
{
    /// <summary>
    /// The nodes that <paramref name="values"/> depend on, not looking behind values for which <paramref name="stop"/> holds.
    /// </summary>
    public static HashSet<NodeProto> Ancestors(GraphIndex graph, IEnumerable<string> values, Func<string, bool> stop) =>
        Ancestors(graph, values, stop, GraphIndex.ReadBy);

    /// <summary>
    /// The nodes that the numbers of <paramref name="values"/> come from: as <see cref="Ancestors(GraphIndex, IEnumerable{string},
    /// Func{string, bool})"/>, but not those whose results are asked for their shape alone.
    /// </summary>
    public static HashSet<NodeProto> Sources(GraphIndex graph, IEnumerable<string> values, Func<string, bool> stop) =>
        Ancestors(graph, values, stop, node => node is { OpType: "Shape" or "Size", Domain.Length: 0 } ? [] : GraphIndex.ReadBy(node));

    private static HashSet<NodeProto> Ancestors(
        GraphIndex graph, IEnumerable<string> values, Func<string, bool> stop, Func<NodeProto, IEnumerable<string>> readBy)
    {
        HashSet<NodeProto> found = new(ReferenceEqualityComparer.Instance);
        Stack<string> open = new(values);
        while (open.TryPop(out string? value))
        {
            if (!stop(value) && graph.Producer(value) is { } node && found.Add(node))
            {
                foreach (string input in readBy(node))
                {
                    open.Push(input);
                }
            }
        }

        return found;
    }

    /// <summary>The nodes that depend on one of <paramref name="nodes"/>, those included.</summary>
    public static HashSet<NodeProto> Descendants(GraphIndex graph, IEnumerable<NodeProto> nodes)
    {
        HashSet<NodeProto> found = new(ReferenceEqualityComparer.Instance);
        Stack<NodeProto> open = new(nodes);
        while (open.TryPop(out NodeProto? node))
        {
            if (found.Add(node))
            {
                foreach (NodeProto reader in node.Output.SelectMany(graph.Consumers))
                {
                    open.Push(reader);
                }
            }
        }

        return found;
    }
}
