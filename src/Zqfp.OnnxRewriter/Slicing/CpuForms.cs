using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Mixtures of experts that ONNX Runtime's CPU library has no kernel for (third weights, gates and values one behind the other, experts in
/// FP4 and FP8), or one that takes no notice of the routing (the sparse mixer), as nodes that it runs. They are what the operator computes;
/// the written model keeps the operator.
/// </summary>
internal sealed class CpuForms
{
    private readonly Dictionary<NodeProto, IReadOnlyList<NodeProto>> _nodes = new(ReferenceEqualityComparer.Instance);

    /// <summary>Says such operators of <paramref name="graph"/> so.</summary>
    public CpuForms(GraphIndex graph, string file)
    {
        Graph = graph;
        NodeProto[] missing = [.. graph.Nodes.Where(IsMissing)];
        if (missing.Length == 0)
        {
            return;
        }

        GraphProto changed = GraphShell.Of(graph.Graph);
        changed.Initializer.AddRange(graph.Graph.Initializer);
        var names = new FreshNames(graph.Graph);
        foreach (NodeProto node in missing)
        {
            if (MoeExpansion.Spell(graph, node, new LinearFormBuilder(node, names)) is { } built)
            {
                _nodes.Add(node, built.Nodes);
                changed.Initializer.AddRange(built.Initializers);
            }
        }

        changed.Node.AddRange(graph.Nodes.SelectMany(Of));
        Graph = new GraphIndex(changed, file);
    }

    /// <summary>The graph in this form.</summary>
    public GraphIndex Graph { get; }

    /// <summary>Whether <paramref name="graph"/> has such operators.</summary>
    public static bool AreIn(GraphProto graph) => graph.Node.Any(IsMissing);

    /// <summary>What stands for a node: itself or others.</summary>
    public IReadOnlyList<NodeProto> Of(NodeProto node) => _nodes.GetValueOrDefault(node) ?? [node];

    private static bool IsMissing(NodeProto node) => MoeExpansion.Is(node)
        && (MoeWeights.IsGiven(node, 3) || MoeExpansion.IsSparse(node)
            || (Attributes.Text(node, "activation_type") == "swiglu" && Attributes.Int(node, "swiglu_fusion", 0) != 1)
            || (Attributes.Text(node, "quant_type") ?? "int") != "int");
}
