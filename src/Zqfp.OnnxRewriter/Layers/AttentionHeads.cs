using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>What fused attention nodes tell about their heads.</summary>
internal static class AttentionHeads
{
    /// <summary>
    /// Length of a head's key. Exporters that fuse attention leave it symbolic in the cache's shape, but the width of the
    /// projection and the numbers of heads give it, and so does the width of the rotary table.
    /// </summary>
    /// <returns>The length, or null where no GroupQueryAttention node tells.</returns>
    public static int? Size(GraphIndex graph)
    {
        foreach (NodeProto node in graph.Nodes.Where(node => node.OpType == "GroupQueryAttention" && node.Input.Count > 0))
        {
            long queryHeads = Attributes.Int(node, "num_heads", 0);
            long keyHeads = Attributes.Int(node, "kv_num_heads", 0);

            // With no key of its own, the node reads queries, keys and values packed in one row.
            long heads = node.Input.ElementAtOrDefault(1) is null or "" ? queryHeads + (2 * keyHeads) : queryHeads;
            if (heads > 0 && ProjectionWidth(graph, node.Input[0]) is { } width && width % heads == 0)
            {
                return (int)(width / heads);
            }

            // The cosines [positions, half of what is rotated], which is the whole head as a rule.
            if (node.Input.ElementAtOrDefault(7) is { Length: > 0 } table
                && graph.Constant(table) is { Dims: [_, var half] })
            {
                return (int)(2 * half);
            }
        }

        return null;
    }

    /// <summary>
    /// Columns of the constant matrix behind <paramref name="value"/>, through a bias, a norm of each head or a rotation.
    /// </summary>
    private static long? ProjectionWidth(GraphIndex graph, string value)
    {
        for (NodeProto? node = graph.Producer(value); node is not null; node = node.Input.Count > 0 ? graph.Producer(node.Input[0]) : null)
        {
            if (ProductNode.Is(node))
            {
                return ProductNode.Outputs(graph, node);
            }

            if (node.OpType is not ("Add" or "RotaryEmbedding" or "Reshape" or "Cast" or "SimplifiedLayerNormalization"
                or "RMSNormalization" or "LayerNormalization"))
            {
                return null;
            }
        }

        return null;
    }
}
