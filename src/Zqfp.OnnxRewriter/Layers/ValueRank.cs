namespace Zqfp.OnnxRewriter;

/// <summary>How many dimensions a value has, as far as the structure of a graph says.</summary>
internal static class ValueRank
{
    /// <summary>The number of dimensions, or null where neither a declaration nor a node that makes the value tells.</summary>
    public static int? Of(GraphIndex graph, string value)
    {
        HashSet<string> seen = new(StringComparer.Ordinal);
        while (seen.Add(value))
        {
            if (graph.Constant(value) is { } constant)
            {
                return constant.Dims.Count;
            }

            if (graph.TypeOf(value)?.TensorType?.Shape is { } shape)
            {
                return shape.Dim.Count;
            }

            if (graph.Producer(value) is not { } node || node.Input.Count == 0)
            {
                return null;
            }

            switch (node.OpType)
            {
                case "Transpose" when Attributes.Ints(node, "perm") is { } order:
                    return order.Count;
                case "Reshape" when node.Input.Count > 1 && graph.Constant(node.Input[1]) is { Dims: [var length] }:
                    return (int)length;
                case "Gather" when graph.Constant(node.Input[0]) is { Dims.Count: var table }:
                    return Of(graph, node.Input[1]) + table - 1;
                case "MatMul" when graph.Constant(node.Input[1]) is { Dims.Count: 2 }:
                case "Transpose" or "Cast" or "Identity" or "Relu" or "Gelu" or "FastGelu" or "Sigmoid" or "Tanh" or "Erf" or "Softmax"
                    or "LayerNormalization" or "SimplifiedLayerNormalization" or "SkipLayerNormalization"
                    or "SkipSimplifiedLayerNormalization" or "RMSNormalization":
                    value = node.Input[0];
                    break;
                case "Add" or "Mul" or "Sub" or "Div":
                    return Of(graph, node.Input[0]) is { } one && Of(graph, node.Input[1]) is { } other ? Math.Max(one, other) : null;
                default:
                    return null;
            }
        }

        return null;
    }
}
