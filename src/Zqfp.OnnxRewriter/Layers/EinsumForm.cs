using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// An Einsum of an activation and a constant weight that have only contracted labels in common, such as <c>bsd,df->bsf</c>,
/// <c>...d,df->...f</c>, <c>bsd,hdk->bhsk</c> or <c>bhsk,hkd->bsd</c>: a product with the weight as a matrix, between transpositions and
/// reshapes of what it reads and makes.
/// </summary>
internal static class EinsumForm
{
    /// <summary>The product, or null where the equation is none of this kind.</summary>
    public static LinearFormBuilder? Spell(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        if (EinsumEquation.Of(node) is not { } equation)
        {
            return null;
        }

        bool isRight = Dims(graph, node.Input[1]) is not null;
        (string input, string stored) = isRight ? (node.Input[0], node.Input[1]) : (node.Input[1], node.Input[0]);
        (string activation, string labels) = isRight ? (equation.Left, equation.Right) : (equation.Right, equation.Left);
        string output = equation.Output;
        if (Dims(graph, stored) is not { } dims || dims.Length != labels.Length)
        {
            return null;
        }

        // As the weight has them, so that its numbers stay where they are unless a contracted label stands between others.
        string contracted = string.Concat(labels.Where(label => activation.Contains(label) && !output.Contains(label)));
        string own = string.Concat(labels.Where(label => !activation.Contains(label) && output.Contains(label)));
        bool isOutputMajor = labels == own + contracted;
        bool isLinear = contracted.Length > 0 && own.Length > 0 && contracted.Length + own.Length == labels.Length;
        if (!isLinear || Expand(graph, input, ref activation, ref output, isSimple: labels.Length == 2) is false)
        {
            return null;
        }

        string batch = string.Concat(activation.Where(label => !contracted.Contains(label)));
        if (!output.Order().SequenceEqual((batch + own).Order()))
        {
            return null;
        }

        long inner = Size(contracted);
        long outer = Size(own);
        string rows = Reorder(form, input, activation, batch + contracted);
        rows = contracted.Length == 1 ? rows : form.Reshape(rows, [.. Kept(), inner]);
        string ordered = isOutputMajor ? stored : Reorder(form, stored, labels, contracted + own);
        string matrix = labels.Length == 2 ? ordered : form.Reshape(ordered, isOutputMajor ? [outer, inner] : [inner, outer]);
        string product = form.Product("MatMul", [rows, isOutputMajor ? form.TransposeLast(matrix, 2) : matrix]);
        product = own.Length == 1 ? product : form.Reshape(product, [.. Kept(), .. own.Select(label => Size($"{label}"))]);
        Reorder(form, product, batch + own, output);
        return form.End();

        long Size(string part) => part.Aggregate(1L, (size, label) => size * dims[labels.IndexOf(label, StringComparison.Ordinal)]);

        IEnumerable<long> Kept() => Enumerable.Repeat(0L, batch.Length);
    }

    /// <summary>
    /// Puts labels in the place of an ellipsis. Where the rank of the input is not known, that takes a <paramref name="isSimple"/>
    /// equation, which a product of any rank says: its contracted label comes last, and the weight's own in its place.
    /// </summary>
    public static bool Expand(GraphIndex graph, string input, ref string activation, ref string output, bool isSimple)
    {
        if (!activation.Contains(EinsumEquation.Ellipsis))
        {
            return !output.Contains(EinsumEquation.Ellipsis);
        }

        int more = 0;
        if (graph.RankOf(input) is { } rank)
        {
            more = rank - activation.Length + 1;
        }
        else if (!isSimple || activation[0] != EinsumEquation.Ellipsis || output[0] != EinsumEquation.Ellipsis
            || activation[..^1] != output[..^1])
        {
            return false;
        }

        if (more is < 0 or > 9 || !output.Contains(EinsumEquation.Ellipsis))
        {
            return false;
        }

        string labels = "0123456789"[..more];
        activation = activation.Replace(".", labels, StringComparison.Ordinal);
        output = output.Replace(".", labels, StringComparison.Ordinal);
        return true;
    }

    /// <summary>The value with its dimensions in another order.</summary>
    public static string Reorder(LinearFormBuilder form, string value, string from, string to) =>
        from == to ? value : form.Transpose(value, [.. to.Select(label => (long)from.IndexOf(label, StringComparison.Ordinal))]);

    /// <summary>The dimensions of a constant weight as the node sees it, or null where the value is none.</summary>
    private static long[]? Dims(GraphIndex graph, string value)
    {
        if (graph.Initializer(value) is { Dims.Count: > 1 } tensor)
        {
            return TensorTypes.IsFloat((DataType)tensor.DataType) ? [.. tensor.Dims] : null;
        }

        return ConstantWeight.Trace(graph, value) is { } weight
            ? weight.Transposed ? [weight.Dims[1], weight.Dims[0]] : [.. weight.Dims]
            : null;
    }
}
