using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Lets products with a constant weight read rows, [tokens, K], where the graph does not tell how many dimensions their activation has: a
/// branch gives one or another, or the length of a shape depends on what the model reads. ONNX Runtime takes the result of an operator that
/// is not its own for a scalar there, and refuses the model.
/// </summary>
/// <remarks>Whose rows are known stays as it is. Products of one value read the same rows, so that they stay one stage.</remarks>
internal sealed class UnknownRanks
{
    private readonly Dictionary<string, (string Rows, string Leading)> _made = new(StringComparer.Ordinal);

    /// <summary>The product of rows, and what gives its result the activation's dimensions; null where these are known.</summary>
    public LinearFormBuilder? Spell(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        string input = node.Input[0];
        if (node is not { OpType: "MatMul", Domain.Length: 0 } || input.Length == 0 || graph.RankOf(input) is not null
            || ConstantWeight.Trace(graph, input) is not null || ConstantWeight.Trace(graph, node.Input[1]) is not { Dims.Count: 2 } weight)
        {
            return null;
        }

        (long inner, long outer) = weight.Transposed ? (weight.Dims[1], weight.Dims[0]) : (weight.Dims[0], weight.Dims[1]);
        if (inner < 2 || outer < 1)
        {
            return null;
        }

        if (!_made.TryGetValue(input, out (string Rows, string Leading) made))
        {
            string rows = form.Reshape(input, -1, inner);
            string leading = form.Apply("Slice", [form.Apply("Shape", [input]), form.Integers(0), form.Integers(-1)]);
            _made.Add(input, made = (rows, leading));
        }

        string product = form.Product("MatMul", [made.Rows, node.Input[1]]);
        string shape = form.Apply("Concat", [made.Leading, form.Integers(outer)], Attributes.Make("axis", 0));
        form.Apply("Reshape", [product, shape]);
        return form.End();
    }
}
