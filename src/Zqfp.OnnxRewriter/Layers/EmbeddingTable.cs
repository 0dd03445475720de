using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>A Gather that looks token ids up in the rows of a constant matrix [V, D].</summary>
internal sealed record EmbeddingTable
{
    /// <summary>The name of the node, or of its output where the node has none.</summary>
    public required string Name { get; init; }

    /// <summary>The Gather.</summary>
    public required NodeProto Node { get; init; }

    /// <summary>The ids it reads, of any shape.</summary>
    public string Ids => Node.Input[1];

    /// <summary>The value it makes: the ids' shape and D behind it.</summary>
    public string Output => Node.Output[0];

    /// <summary>The constant that holds the rows.</summary>
    public required ConstantWeight Weight { get; init; }

    /// <summary>V, the tokens it has rows for.</summary>
    public required int Rows { get; init; }

    /// <summary>D, the length of a row.</summary>
    public required int Columns { get; init; }

    /// <summary>Element type of the output.</summary>
    public DataType Type => Weight.Type;

    /// <summary>The tables that <paramref name="logits"/> depends on, in the order they run.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="logits">The output of interest.</param>
    public static IReadOnlyList<EmbeddingTable> Find(GraphIndex graph, string logits)
    {
        HashSet<NodeProto> live = Reachability.Ancestors(graph, [logits], stop: _ => false);
        return [.. graph.Nodes.Where(live.Contains).Select(node => Match(graph, node)).OfType<EmbeddingTable>()];
    }

    private static EmbeddingTable? Match(GraphIndex graph, NodeProto node)
    {
        bool isLookup = node is { OpType: "Gather", Domain.Length: 0, Input.Count: 2, Output.Count: 1 }
            && Attributes.Int(node, "axis", 0) is 0 or -2 && TokenIds.AreIn(graph, node.Input[1], graph.Ids);
        if (!isLookup || ConstantWeight.Trace(graph, node.Input[0]) is not { Computed: null } weight)
        {
            return null;
        }

        (long rows, long columns) = (weight.Dims[weight.Transposed ? 1 : 0], weight.Dims[weight.Transposed ? 0 : 1]);
        return rows is 0 or > int.MaxValue || columns is 0 or > int.MaxValue ? null : new EmbeddingTable
        {
            Name = node.Name.Length > 0 ? node.Name : node.Output[0],
            Node = node,
            Weight = weight,
            Rows = (int)rows,
            Columns = (int)columns,
        };
    }
}
