using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>A value that holds, for each element of an index, one of the matrices of a constant of three dimensions.</summary>
/// <param name="Weight">The constant, or what Cast, Transpose or DequantizeLinear make of it: [E, .., ..].</param>
/// <param name="Index">The value that says which.</param>
/// <param name="HasLastDimension">Whether the index has a last dimension of 1, as that of GatherND.</param>
/// <param name="IsTransposed">Whether the matrices are transposed after they are picked.</param>
internal sealed record ExpertPick(string Weight, string Index, bool HasLastDimension, bool IsTransposed)
{
    /// <summary>The pick that makes <paramref name="value"/>, or null.</summary>
    public static ExpertPick? Find(GraphIndex graph, string value)
    {
        bool isTransposed = false;
        while (graph.Producer(value) is { Domain.Length: 0 } node)
        {
            switch (node.OpType)
            {
                case "Identity" or "Cast":
                    value = node.Input[0];
                    break;
                case "Transpose" when ExchangesLast(Attributes.Ints(node, "perm")):
                    isTransposed = !isTransposed;
                    value = node.Input[0];
                    break;
                case "Gather" when Attributes.Int(node, "axis", 0) == 0:
                    return Of(graph, node, hasLast: false, isTransposed);
                case "GatherND" when Attributes.Int(node, "batch_dims", 0) == 0 && LastIsOne(graph, node.Input[1]):
                    return Of(graph, node, hasLast: true, isTransposed);
                default:
                    return null;
            }
        }

        return null;
    }

    private static ExpertPick? Of(GraphIndex graph, NodeProto node, bool hasLast, bool isTransposed) =>
        ConstantWeight.TraceStack(graph, node.Input[0]) is not null && graph.Constant(node.Input[1]) is null
            ? new ExpertPick(node.Input[0], node.Input[1], hasLast, isTransposed)
            : null;

    private static bool LastIsOne(GraphIndex graph, string index)
    {
        if (graph.TypeOf(index)?.TensorType?.Shape?.Dim is { Count: > 0 } dims)
        {
            return dims[^1].DimValue == 1;
        }

        return graph.Producer(index) is { OpType: "Unsqueeze", Input.Count: > 1 } node && graph.Constant(node.Input[1]) is { } axes
            && IntTensor.Read(axes) is [-1];
    }

    /// <summary>Whether a permutation exchanges the last two dimensions and nothing else.</summary>
    public static bool ExchangesLast(IReadOnlyList<long>? order) => order is { Count: > 2 }
        && order.SkipLast(2).Select((dim, i) => dim == i).All(isKept => isKept)
        && order[^1] == order.Count - 2 && order[^2] == order.Count - 1;
}
