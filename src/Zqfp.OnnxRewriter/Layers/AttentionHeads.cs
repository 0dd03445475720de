using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>What fused attention nodes tell about their heads.</summary>
public static class AttentionHeads
{
    /// <summary>
    /// Length of a head's key. Exporters that fuse attention leave it symbolic in the cache's shape, but the width of the
    /// projection and the numbers of heads give it.
    /// </summary>
    /// <returns>The length, or null where no GroupQueryAttention node tells.</returns>
    public static int? Size(GraphIndex graph)
    {
        foreach (NodeProto node in graph.Nodes.Where(node => node.OpType == "GroupQueryAttention"))
        {
            long queryHeads = Attributes.Int(node, "num_heads", 0);
            long keyHeads = Attributes.Int(node, "kv_num_heads", 0);

            // With no key of its own, the node reads queries, keys and values packed in one row.
            long heads = node.Input.ElementAtOrDefault(1) is null or "" ? queryHeads + (2 * keyHeads) : queryHeads;
            if (heads > 0 && ProjectionWidth(graph, node.Input[0]) is { } width && width % heads == 0)
            {
                return (int)(width / heads);
            }
        }

        return null;
    }

    /// <summary>Columns of the constant matrix behind <paramref name="value"/>, through a bias or a rotation.</summary>
    private static long? ProjectionWidth(GraphIndex graph, string value)
    {
        for (NodeProto? node = graph.Producer(value); node is not null; node = graph.Producer(node.Input[0]))
        {
            if (node.Domain == OperatorNames.Domain)
            {
                // A quantized product: its codes are the first matrix among its initializers.
                return node.Input.Select(graph.Initializer).FirstOrDefault(tensor => tensor?.Dims.Count == 2)?.Dims[0];
            }

            if (node.OpType is "MatMul" or "Gemm")
            {
                return ConstantWeight.TraceShape(graph, node.Input[1]) is { } weight
                    ? weight.Dims[weight.Transposed == (Attributes.Int(node, "transB", 0) == 0) ? 0 : 1]
                    : null;
            }

            if (node.OpType is not ("Add" or "RotaryEmbedding" or "Reshape" or "Cast"))
            {
                return null;
            }
        }

        return null;
    }
}
