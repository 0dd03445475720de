using Zqfp.OnnxRewriter.Graphs;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter.Layers;

/// <summary>An initializer seen through the nodes that stand between it and its reader.</summary>
/// <param name="Tensor">The initializer.</param>
/// <param name="Transposed">Whether the reader sees it with its two dimensions exchanged.</param>
/// <param name="Type">The element type the reader sees.</param>
/// <param name="Path">The values from the reader's input back to the initializer.</param>
internal sealed record ConstantWeight(TensorProto Tensor, bool Transposed, DataType Type, IReadOnlyList<string> Path)
{
    /// <summary>Follows <paramref name="value"/> back through Transpose, Cast and Identity to a matrix, or returns null.</summary>
    public static ConstantWeight? Trace(GraphIndex graph, string value)
    {
        bool transposed = false;
        DataType? type = null;
        List<string> path = [value];
        while (graph.Producer(value) is { } node)
        {
            switch (node.OpType)
            {
                case "Transpose" when Attributes.Ints(node, "perm") is null or [1, 0]:
                    transposed = !transposed;
                    break;
                case "Cast":
                    type ??= (DataType)Attributes.Int(node, "to", 0);
                    break;
                case "Identity":
                    break;
                default:
                    return null;
            }

            value = node.Input[0];
            path.Add(value);
        }

        return graph.Initializer(value) is { Dims.Count: 2 } tensor
            ? new ConstantWeight(tensor, transposed, type ?? (DataType)tensor.DataType, path)
            : null;
    }
}
