using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>A model's nodes while they are fused: who makes a value, and how often it is read.</summary>
internal sealed class FusedNodes
{
    private readonly Dictionary<string, NodeProto> _producers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _reads = new(StringComparer.Ordinal);
    private readonly HashSet<NodeProto> _gone = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<NodeProto, NodeProto[]> _replacements = new(ReferenceEqualityComparer.Instance);
    private readonly List<NodeProto> _nodes;

    /// <param name="nodes">In running order; none of them is changed.</param>
    /// <param name="outputs">The graph's outputs.</param>
    public FusedNodes(List<NodeProto> nodes, IEnumerable<string> outputs)
    {
        _nodes = nodes;
        foreach (NodeProto node in nodes)
        {
            foreach (string output in node.Output.Where(output => output.Length > 0))
            {
                _producers[output] = node;
            }
        }

        foreach (string read in nodes.SelectMany(GraphIndex.ReadBy).Concat(outputs))
        {
            _reads[read] = Reads(read) + 1;
        }
    }

    /// <summary>The nodes as they are now, each after those it reads from.</summary>
    public IReadOnlyList<NodeProto> Nodes => _nodes;

    /// <summary>The node that makes a value, or null.</summary>
    public NodeProto? Producer(string value) => _producers.GetValueOrDefault(value);

    /// <summary>The node that makes a value, if it is of a type and domain; else null.</summary>
    public NodeProto? Producer(string value, string type, string domain = "") =>
        _producers.GetValueOrDefault(value) is { } node && node.OpType == type && Domain(node) == Domain(domain) ? node : null;

    /// <summary>How often a value is read; graph outputs count.</summary>
    public int Reads(string value) => _reads.GetValueOrDefault(value);

    /// <summary>The node that makes a value which is read once; else null.</summary>
    public NodeProto? Once(string value) => Reads(value) == 1 ? Producer(value) : null;

    /// <summary>The node that makes a value which is read once, if it is of a type; else null.</summary>
    public NodeProto? Once(string value, string type) => Reads(value) == 1 ? Producer(value, type) : null;

    /// <summary>Puts nodes in place of one, and removes others that only it needed.</summary>
    public void Replace(NodeProto node, NodeProto[] by, params IEnumerable<NodeProto> others)
    {
        _replacements[node] = by;
        _gone.UnionWith(others);
    }

    /// <summary>Takes over what was replaced and removed.</summary>
    public List<NodeProto> Apply() =>
    [
        .. _nodes.SelectMany(node => _replacements.TryGetValue(node, out NodeProto[]? by) ? by : _gone.Contains(node) ? [] : [node])
    ];

    private static string Domain(NodeProto node) => Domain(node.Domain);

    private static string Domain(string domain) => domain == "ai.onnx" ? "" : domain;
}
