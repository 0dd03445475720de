using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// An Einsum of an activation and a constant weight that contracts the activation's last dimensions, such as <c>bsd,df->bsf</c>,
/// <c>bsd,hkd->bshk</c> or <c>bshk,hkd->bsd</c>: a product with the weight as a matrix.
/// </summary>
internal static class EinsumForm
{
    /// <summary>The product, or null where the equation is none of this kind.</summary>
    public static LinearFormBuilder? Spell(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        if (node.Input.Count != 2 || Parse(node) is not var (left, right, output))
        {
            return null;
        }

        bool isRight = Weight(graph, node.Input[1]) is not null;
        string input = node.Input[isRight ? 0 : 1];
        (string activation, string labels) = isRight ? (left, right) : (right, left);
        if (Weight(graph, node.Input[isRight ? 1 : 0]) is not { } weight || weight.Dims.Count != labels.Length)
        {
            return null;
        }

        // Batch labels come first in activation and output, the contracted ones last in the activation, the weight's own last in the
        // output.
        string contracted = string.Concat(activation.Where(labels.Contains));
        string batch = activation[..^contracted.Length];
        string own = string.Concat(output.Where(labels.Contains));
        bool isLinear = contracted.Length > 0 && own.Length > 0
            && contracted.All(label => !output.Contains(label, StringComparison.Ordinal))
            && activation == batch + contracted && output == batch + own && labels.Length == contracted.Length + own.Length
            && (labels == contracted + own || labels == own + contracted) && labels.Distinct().Count() == labels.Length;
        if (!isLinear)
        {
            return null;
        }

        bool isInputMajor = labels == contracted + own;
        long[] dims = [.. weight.Dims];
        long inner = Size(contracted, labels, dims);
        long outer = Size(own, labels, dims);
        string stored = node.Input[isRight ? 1 : 0];
        string matrix = labels.Length == 2 ? stored : form.Reshape(stored, isInputMajor ? [inner, outer] : [outer, inner]);
        string rows = contracted.Length == 1 ? input : form.Reshape(input, [.. Enumerable.Repeat(0L, batch.Length), inner]);
        string product = form.Product("MatMul", [rows, isInputMajor ? matrix : form.TransposeLast(matrix, 2)]);
        if (own.Length > 1)
        {
            form.Reshape(product,
                [.. Enumerable.Repeat(0L, batch.Length), .. own.Select(label => dims[labels.IndexOf(label, StringComparison.Ordinal)])]);
        }

        return form.End();
    }

    private static TensorProto? Weight(GraphIndex graph, string value) =>
        graph.Initializer(value) is { Dims.Count: > 1 } tensor && TensorTypes.IsFloat((DataType)tensor.DataType) ? tensor : null;

    private static long Size(string part, string labels, long[] dims) =>
        part.Aggregate(1L, (size, label) => size * dims[labels.IndexOf(label, StringComparison.Ordinal)]);

    /// <summary>The labels of both inputs and the output; null where the equation has an ellipsis or no output.</summary>
    private static (string Left, string Right, string Output)? Parse(NodeProto node)
    {
        string equation = (Attributes.Text(node, "equation") ?? string.Empty).Replace(" ", string.Empty, StringComparison.Ordinal);
        string[] sides = equation.Split("->");
        return sides is [var inputs, var output] && inputs.Split(',') is [var left, var right]
            && (inputs + output).All(c => c == ',' || char.IsAsciiLetter(c))
            ? (left, right, output)
            : null;
    }
}
