using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Says <c>com.microsoft.MoE</c> as what it computes: softmax and top k of the router's logits, products for experts, the activation
/// between them, and the sum weighted by the routing.
/// </summary>
internal static class MoeExpansion
{
    private const int Router = 1, Fc1 = 2, Fc1Bias = 3, Fc2 = 4, Fc2Bias = 5, Fc3 = 6, Fc3Bias = 7;

    /// <summary>The nodes, or null where the node has attributes whose meaning is not known.</summary>
    public static LinearFormBuilder? Spell(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        long experts = Attributes.Int(node, "k", 1);
        string activation = Attributes.Text(node, "activation_type") ?? "relu";
        long fusion = Attributes.Int(node, "swiglu_fusion", 0);
        bool isGated = activation == "swiglu" && fusion is 1 or 2;
        if (Attributes.Int(node, "use_sparse_mixer", 0) != 0
            || ConstantWeight.TraceStack(graph, node.Input.ElementAtOrDefault(Fc1) ?? "") is not { Dims: var first } fc1
            || ConstantWeight.TraceStack(graph, node.Input.ElementAtOrDefault(Fc2) ?? "") is not { Dims: var second }
            || first[0] != second[0] || first[2] != second[1] || first[1] != second[2] * (isGated ? 2 : 1)
            || (Input(node, Fc3) is { } third && ConstantWeight.TraceStack(graph, third)?.Dims.SequenceEqual(first) != true)
            || !(isGated || activation is "relu" or "gelu" or "silu" or "identity"
                || (activation == "swiglu" && Input(node, Fc3) is not null)))
        {
            return null;
        }

        string[] top = form.Apply("TopK", 2,
            [form.Apply("Softmax", [node.Input[Router]], Attributes.Make("axis", -1)), form.Integers(experts)],
            Attributes.Make("axis", -1));
        string weights = top[0];
        if (Attributes.Int(node, "normalize_routing_weights", 0) != 0)
        {
            weights = form.Apply("Div", [weights, form.Apply("ReduceSum", [weights, form.Integers(-1)])]);
        }

        DataType type = fc1.Type;
        string x = form.Reshape(node.Input[0], -1, first[2]);
        string hidden = Product("/fc1", x, Fc1, Fc1Bias);
        string? other = Input(node, Fc3) is null ? null : Product("/fc3", x, Fc3, Fc3Bias);
        string active = Activate(node, form, hidden, other, activation, isGated ? fusion : 0, second[2], type);
        string made = Product("/fc2", active, Fc2, Fc2Bias);
        string weighted = form.Apply("Mul", [made, form.Apply("Unsqueeze", [weights, form.Integers(-1)])]);
        string sum = form.Apply("ReduceSum", [weighted, form.Integers(1)], Attributes.Make("keepdims", 0));
        form.Apply("Reshape", [sum, form.Apply("Shape", [node.Input[0]])]);
        return form.End();

        string Product(string part, string rows, int matrices, int bias) => form.ExpertProduct(part,
            Input(node, bias) is { } added ? [rows, top[1], node.Input[matrices], added] : [rows, top[1], node.Input[matrices]],
            isInputMajor: false);
    }

    /// <summary>What the operator makes of the first product, and of the third where it has one: [T, k, I].</summary>
    private static string Activate(NodeProto node, LinearFormBuilder form, string hidden, string? other, string activation, long fusion,
        long width, DataType type)
    {
        if (activation != "swiglu")
        {
            string active = activation switch
            {
                "relu" => form.Apply("Relu", [hidden]),
                "silu" => form.Apply("Mul", [hidden, form.Apply("Sigmoid", [hidden])]),
                "gelu" => Gelu(form, hidden, type),
                _ => hidden,
            };
            return other is null ? active : form.Apply("Mul", [active, other]);
        }

        (string gate, string linear) = fusion switch
        {
            1 => (Every(form, hidden, 0), Every(form, hidden, 1)),
            2 => (Part(form, hidden, 0, width), Part(form, hidden, width, 2 * width)),
            _ => (hidden, other!),
        };
        float limit = Attributes.Float(node, "swiglu_limit", float.PositiveInfinity);
        if (float.IsFinite(limit))
        {
            gate = form.Apply("Clip", [gate, "", form.Number(limit, type)]);
            linear = form.Apply("Clip", [linear, form.Number(-limit, type), form.Number(limit, type)]);
        }

        string swish = form.Apply("Mul",
            [gate, form.Apply("Sigmoid", [form.Scale(gate, Attributes.Float(node, "activation_alpha", 1), type)])]);
        float beta = Attributes.Float(node, "activation_beta", 0);
        return form.Apply("Mul", [swish, beta == 0 ? linear : form.Sum(linear, form.Number(beta, type))]);
    }

    /// <summary>The approximation by tanh, which the operator computes.</summary>
    private static string Gelu(LinearFormBuilder form, string x, DataType type)
    {
        string square = form.Apply("Mul", [x, x]);
        string factor = form.Sum(form.Scale(square, 0.044715f, type), form.Number(1, type));
        string inner = form.Scale(form.Apply("Mul", [x, factor]), 0.7978845608f, type);
        string half = form.Scale(x, 0.5f, type);
        return form.Apply("Mul", [half, form.Sum(form.Apply("Tanh", [inner]), form.Number(1, type))]);
    }

    private static string Every(LinearFormBuilder form, string value, long start) => form.Apply("Slice",
        [value, form.Integers(start), form.Integers(long.MaxValue), form.Integers(-1), form.Integers(2)]);

    private static string Part(LinearFormBuilder form, string value, long start, long end) => form.Apply("Slice",
        [value, form.Integers(start), form.Integers(end), form.Integers(-1)]);

    private static string? Input(NodeProto node, int index) => node.Input.ElementAtOrDefault(index) is { Length: > 0 } value ? value : null;
}
