using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Says <c>com.microsoft.MoE</c> and <c>QMoE</c> as what they compute: softmax and top k of the router's logits, products for experts, the
/// activation between them, and the sum weighted by the routing.
/// </summary>
internal static class MoeExpansion
{
    private const int Router = 1;

    /// <summary>The second router of QMoE, whose numbers weight what experts make.</summary>
    private const int RouterWeights = 14;

    /// <summary>Whether <paramref name="node"/> is one of these operators.</summary>
    public static bool Is(NodeProto node) => node.Domain == OperatorNames.MicrosoftDomain && node.OpType is "MoE" or "QMoE";

    /// <summary>Whether its two experts are chosen one after the other, as Phi-3.5-MoE does.</summary>
    public static bool IsSparse(NodeProto node) => Attributes.Int(node, "use_sparse_mixer", 0) != 0;

    /// <summary>The nodes, or null where the node has attributes or inputs whose meaning is not known.</summary>
    public static LinearFormBuilder? Spell(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        string activation = Attributes.Text(node, "activation_type") ?? "relu";
        long fusion = Attributes.Int(node, "swiglu_fusion", 0);
        bool isGated = activation == "swiglu" && fusion is 1 or 2;
        if (!Is(node) || (IsSparse(node) && (node.OpType != "MoE" || Attributes.Int(node, "k", 1) != 2))
            || Weights(1) is not { } first || Weights(2) is not { } second
            || first.Experts != second.Experts || first.Columns != second.Rows
            || first.Rows != second.Columns * (isGated ? 2 : 1)
            || !(isGated || activation is "relu" or "gelu" or "silu" or "identity" or "swiglu"))
        {
            return null;
        }

        MoeWeights? third = null;
        bool hasThird = MoeWeights.IsGiven(node, 3);
        if (hasThird
            && ((third = Weights(3)) is null
                || (third.Experts, third.Rows, third.Columns) != (first.Experts, first.Rows, first.Columns)))
        {
            return null;
        }

        if (activation == "swiglu" && isGated == hasThird)
        {
            return null;
        }

        (string weights, string index) = IsSparse(node) ? RouteSparse(node, form, first.Type) : Route(node, form);
        string x = form.Reshape(node.Input[0], -1, first.Columns);
        string hidden = Product("/fc1", x, first);
        string? other = third is null ? null : Product("/fc3", x, third);
        string active = Activate(node, form, hidden, other, activation, isGated ? fusion : 0, second.Columns, first.Type);
        string made = Product("/fc2", active, second);
        string weighted = form.Apply("Mul", [made, form.Apply("Unsqueeze", [weights, form.Integers(-1)])]);
        string sum = form.Apply("ReduceSum", [weighted, form.Integers(1)], Attributes.Make("keepdims", 0));
        form.Apply("Reshape", [sum, form.Apply("Shape", [node.Input[0]])]);
        return form.End();

        MoeWeights? Weights(int part) => node.OpType == "MoE" ? MoeWeights.Of(graph, node, part) : QMoeWeights.Of(graph, node, part, form);

        string Product(string part, string rows, MoeWeights of) => form.ExpertProduct(part,
            of.Bias is { } added ? [rows, index, of.Value, added] : [rows, index, of.Value], isInputMajor: false);
    }

    /// <summary>Each token's experts, and the weights of what they make: [T, k].</summary>
    /// <remarks>
    /// MoE takes the softmax of all logits, QMoE on the CPU that of the k largest, whatever it says of normalizing, unless it has a
    /// second router.
    /// </remarks>
    private static (string Weights, string Index) Route(NodeProto node, LinearFormBuilder form)
    {
        string experts = form.Integers(Attributes.Int(node, "k", 1));
        bool isNormalized = Attributes.Int(node, "normalize_routing_weights", 0) != 0;
        AttributeProto last = Attributes.Make("axis", -1);
        if (node.OpType == "MoE")
        {
            string[] top = form.Apply("TopK", 2, [form.Apply("Softmax", [node.Input[Router]], last), experts], last);
            return (isNormalized ? Normalized(top[0]) : top[0], top[1]);
        }

        string[] largest = form.Apply("TopK", 2, [node.Input[Router], experts], last);
        if (node.Input.ElementAtOrDefault(RouterWeights) is not { Length: > 0 } second)
        {
            return (form.Apply("Softmax", [largest[0]], last), largest[1]);
        }

        string gathered = form.Apply("GatherElements", [second, largest[1]], last);
        return (isNormalized ? Normalized(gathered) : gathered, largest[1]);

        string Normalized(string weights) => form.Apply("Div", [weights, form.Apply("ReduceSum", [weights, form.Integers(-1)])]);
    }

    /// <summary>
    /// The largest logit and the second, each weighted by its softmax among those that are near it: of the second the largest is none.
    /// </summary>
    private static (string Weights, string Index) RouteSparse(NodeProto node, LinearFormBuilder form, DataType type)
    {
        const float Jitter = 0.01f;
        AttributeProto last = Attributes.Make("axis", -1);
        string logits = node.Input[Router];
        string[] top = form.Apply("TopK", 2, [logits, form.Integers(2)], last);
        string lowest = form.Number(-65504, type);
        string firstIndex = Part(form, top[1], 0, 1);
        string firstLogit = Part(form, top[0], 0, 1);
        string lowestOf = form.Apply("Expand", [lowest, form.Apply("Shape", [firstIndex])]);
        string others = form.Apply("ScatterElements", [logits, firstIndex, lowestOf], last);
        string first = Weight(logits, firstLogit, firstIndex);
        string second = Weight(others, Part(form, top[0], 1, 2), Part(form, top[1], 1, 2));
        return (form.Apply("Concat", [first, second], last), top[1]);

        // Far is what lies below the largest by more than a share of itself.
        string Weight(string candidates, string largest, string index)
        {
            string far = form.Apply("Greater",
            [
                form.Apply("Sub", [largest, logits]),
                form.Scale(form.Apply("Max", [form.Apply("Abs", [logits]), largest]), 2 * Jitter, type),
            ]);
            string near = form.Apply("Softmax", [form.Apply("Where", [far, lowest, candidates])], last);
            return form.Apply("GatherElements", [near, index], last);
        }
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
}
