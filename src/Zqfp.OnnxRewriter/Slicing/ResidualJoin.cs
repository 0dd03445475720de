using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>Where a layer's output is added to the residual stream: <c>sum = stream + output</c>.</summary>
/// <param name="Stream">The value it is added to, which no layer of this stage or a later one has touched.</param>
/// <param name="Sum">The sum.</param>
/// <remarks>Found by structure alone: an addition, or one fused with the norm after it, of a value that is no constant.</remarks>
internal sealed record ResidualJoin(string Stream, string Sum)
{
    /// <summary>The join behind <paramref name="layer"/>, or null where there is none.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="notYet">Nodes of the layers that are not quantized yet, this one among them.</param>
    public static ResidualJoin? Find(GraphIndex graph, LinearLayer layer, IReadOnlySet<NodeProto> notYet)
    {
        string value = layer.Output;
        while (graph.Consumers(value) is [{ } reader] && !graph.IsOutput(value))
        {
            if (Addition(reader, value) is { } join)
            {
                bool isStream = graph.Producer(join.Stream) is not null && graph.Constant(join.Stream) is null
                    && !Reachability.Ancestors(graph, [join.Stream], stop: _ => false).Overlaps(notYet);
                return isStream ? join : null;
            }

            if (!KeepsNumbers(reader, value))
            {
                return null;
            }

            value = reader.Output[0];
        }

        return null;
    }

    private static bool KeepsNumbers(NodeProto node, string value) =>
        node.Domain.Length == 0 && node.OpType is "Reshape" or "Cast" or "Identity" or "Squeeze" or "Unsqueeze" && node.Input[0] == value;

    /// <summary>Of the fused forms the fourth output is the sum, where it is asked for.</summary>
    private static ResidualJoin? Addition(NodeProto node, string value)
    {
        bool isAdd = node is { OpType: "Add", Domain: "" };
        bool isFused = node is { OpType: "SkipLayerNormalization" or "SkipSimplifiedLayerNormalization", Domain: "com.microsoft" };
        if (!(isAdd || isFused) || node.Input.Take(2).Count(input => input == value) != 1
            || (isFused && (node.Output.Count < 4 || node.Output[3].Length == 0)))
        {
            return null;
        }

        // A bias of the fused norm would be part of the sum.
        return isFused && node.Input.Count > (node.OpType == "SkipLayerNormalization" ? 4 : 3) && node.Input[^1].Length > 0
            ? null
            : new ResidualJoin(node.Input[0] == value ? node.Input[1] : node.Input[0], isAdd ? node.Output[0] : node.Output[3]);
    }
}
