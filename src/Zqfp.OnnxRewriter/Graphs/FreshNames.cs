using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>Names that nothing in a graph has: of values, initializers and nodes alike, inside subgraphs too.</summary>
internal sealed class FreshNames
{
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);

    public FreshNames(GraphProto graph) => Take(graph);

    /// <summary><paramref name="wanted"/>, or that with a number behind it where it is taken; the name is taken from then on.</summary>
    public string Make(string wanted)
    {
        string name = wanted;
        for (int i = 2; !_taken.Add(name); i++)
        {
            name = FormattableString.Invariant($"{wanted}_{i}");
        }

        return name;
    }

    /// <summary>Whether <paramref name="part"/> occurs in a name.</summary>
    public bool AnyContains(string part) => _taken.Any(name => name.Contains(part, StringComparison.Ordinal));

    private void Take(GraphProto graph)
    {
        _taken.UnionWith(graph.Input.Select(value => value.Name));
        _taken.UnionWith(graph.Initializer.Select(tensor => tensor.Name));
        foreach (NodeProto node in graph.Node)
        {
            _taken.Add(node.Name);
            _taken.UnionWith(node.Output);
            _taken.UnionWith(node.Input);
            foreach (GraphProto inner in Subgraphs.Of(node))
            {
                Take(inner);
            }
        }
    }
}
