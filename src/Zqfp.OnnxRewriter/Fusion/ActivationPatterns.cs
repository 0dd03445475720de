using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>An activation and the nodes that compute it, which nothing else reads from.</summary>
internal sealed record FoundActivation(TokenActivation Kind, string X, IReadOnlyList<NodeProto> Nodes);

/// <summary>
/// Activations as operators of their own (Relu, Gelu of ONNX and of com.microsoft, FastGelu, QuickGelu) and as exporters spell them: SiLU
/// and the quick GELU by Sigmoid, GELU by Erf and by Tanh.
/// </summary>
/// <param name="nodes">The nodes.</param>
/// <param name="constant">An initializer's content, or null.</param>
internal sealed class ActivationPatterns(FusedNodes nodes, Func<string, TensorData?> constant)
{
    /// <summary>The slope of the quick GELU.</summary>
    private const float QuickSlope = 1.702f;

    /// <summary>What makes a value that is read once, if it is an activation.</summary>
    public FoundActivation? Find(string value) => Single(value) ?? BySigmoid(value) ?? ByCurve(value);

    private FoundActivation? Single(string value)
    {
        if (nodes.Once(value) is not { } node || node.Input.Count(input => input.Length > 0) != 1)
        {
            return null;
        }

        TokenActivation? kind = (node.Domain == OperatorNames.MicrosoftDomain, node.OpType) switch
        {
            (false, "Relu") => TokenActivation.Relu,
            (false, "Gelu") => (Attributes.Text(node, "approximate") ?? "none") switch
            {
                "none" => TokenActivation.Gelu,
                "tanh" => TokenActivation.TanhGelu,
                _ => null,
            },
            (false, "Swish") when Attributes.Float(node, "alpha", 1) == 1 => TokenActivation.Silu,
            (true, "Gelu") => TokenActivation.Gelu,
            (true, "FastGelu") => TokenActivation.TanhGelu,
            (true, "QuickGelu") => Attributes.Float(node, "alpha", QuickSlope) switch
            {
                1 => TokenActivation.Silu,
                QuickSlope => TokenActivation.QuickGelu,
                _ => null,
            },
            _ => null,
        };
        return kind is { } known ? new FoundActivation(known, node.Input[0], [node]) : null;
    }

    /// <summary>x * Sigmoid(x), or x * Sigmoid(1.702 x).</summary>
    private FoundActivation? BySigmoid(string value)
    {
        if (nodes.Once(value, "Mul") is not { } product)
        {
            return null;
        }

        foreach ((string x, string open) in ((string, string)[])
            [(product.Input[0], product.Input[1]), (product.Input[1], product.Input[0])])
        {
            if (nodes.Once(open, "Sigmoid") is not { } sigmoid)
            {
                continue;
            }

            if (sigmoid.Input[0] == x)
            {
                return new FoundActivation(TokenActivation.Silu, x, [product, sigmoid]);
            }

            if (nodes.Once(sigmoid.Input[0], "Mul") is { } scaled && Factor(scaled) is { } factor && factor.Other == x
                && IsNear(factor.Number, QuickSlope))
            {
                return new FoundActivation(TokenActivation.QuickGelu, x, [product, sigmoid, scaled]);
            }
        }

        return null;
    }

    /// <summary>
    /// GELU is half of x times (1 + c), whatever the order in which the three are multiplied; c is Erf(x / sqrt(2)) or Tanh.
    /// </summary>
    private FoundActivation? ByCurve(string value)
    {
        List<NodeProto> made = [];
        List<string> factors = [];
        float number = 1;
        if (nodes.Once(value, "Mul") is not { } product)
        {
            return null;
        }

        Multiply(product);
        foreach (string sum in factors)
        {
            if (nodes.Once(sum, "Add") is not { } added || Addend(added) is not { Number: 1 } one)
            {
                continue;
            }

            (TokenActivation Kind, string X)? curve = Erf(one.Other, made) ?? Tanh(one.Other, made);
            bool isWhole = curve is not null && IsNear(number, 0.5f) && factors.Count == 2
                && factors.TrueForAll(factor => factor == sum || factor == curve.Value.X);
            return isWhole ? new FoundActivation(curve!.Value.Kind, curve.Value.X, [.. made, added]) : null;
        }

        return null;

        void Multiply(NodeProto node)
        {
            made.Add(node);
            for (int i = 0; i < node.Input.Count; i++)
            {
                string input = node.Input[i];
                if (Number(input) is { } constantFactor)
                {
                    number *= node.OpType == "Div" && i == 1 ? 1 / constantFactor : constantFactor;
                }
                else if (nodes.Once(input, "Mul") is { } inner && made.Count < 3)
                {
                    Multiply(inner);
                }
                else if (nodes.Once(input, "Div") is { } quotient && Number(quotient.Input[1]) is not null && made.Count < 3)
                {
                    Multiply(quotient);
                }
                else
                {
                    factors.Add(input);
                }
            }
        }
    }

    private (TokenActivation Kind, string X)? Erf(string value, List<NodeProto> made)
    {
        const float Root = 1.41421356f;
        if (nodes.Once(value, "Erf") is not { } erf)
        {
            return null;
        }

        NodeProto? scaled = nodes.Once(erf.Input[0], "Div") ?? nodes.Once(erf.Input[0], "Mul");
        if (scaled is null || Factor(scaled) is not { } factor || !IsNear(factor.Number, 1 / Root))
        {
            return null;
        }

        made.AddRange([erf, scaled]);
        return (TokenActivation.Gelu, factor.Other);
    }

    /// <summary>Tanh(sqrt(2 / pi) (x + 0.044715 x^3)), the cube as Pow or as products.</summary>
    private (TokenActivation Kind, string X)? Tanh(string value, List<NodeProto> made)
    {
        const float Slope = 0.7978845608f, Cubic = 0.044715f;
        if (nodes.Once(value, "Tanh") is not { } tanh || nodes.Once(tanh.Input[0], "Mul") is not { } scaled
            || Factor(scaled) is not { } slope || !IsNear(slope.Number, Slope) || nodes.Once(slope.Other, "Add") is not { } sum)
        {
            return null;
        }

        foreach ((string x, string bent) in ((string, string)[])[(sum.Input[0], sum.Input[1]), (sum.Input[1], sum.Input[0])])
        {
            List<NodeProto> cube = [];
            if (nodes.Once(bent, "Mul") is { } term && Factor(term) is { } factor && IsNear(factor.Number, Cubic)
                && IsPower(factor.Other, x, 3, cube))
            {
                made.AddRange([tanh, scaled, sum, term, .. cube]);
                return (TokenActivation.TanhGelu, x);
            }
        }

        return null;
    }

    private bool IsPower(string value, string x, int exponent, List<NodeProto> made)
    {
        if (exponent == 1)
        {
            return value == x;
        }

        if (nodes.Once(value, "Pow") is { } power)
        {
            made.Add(power);
            return power.Input[0] == x && Number(power.Input[1]) == exponent;
        }

        if (nodes.Once(value, "Mul") is not { } product)
        {
            return false;
        }

        made.Add(product);
        return product.Input[0] == x ? IsPower(product.Input[1], x, exponent - 1, made)
            : product.Input[1] == x && IsPower(product.Input[0], x, exponent - 1, made);
    }

    /// <summary>What a node multiplies one of its inputs with, as a number.</summary>
    private (string Other, float Number)? Factor(NodeProto node) => node.OpType == "Div"
        ? Number(node.Input[1]) is { } divisor ? (node.Input[0], 1 / divisor) : null
        : Addend(node);

    /// <summary>The one input of two that is a number, and the other.</summary>
    private (string Other, float Number)? Addend(NodeProto node) =>
        Number(node.Input[1]) is { } second ? (node.Input[0], second)
        : Number(node.Input[0]) is { } first ? (node.Input[1], first)
        : null;

    private float? Number(string value) => constant(value) is { } data ? SingleNumber.Of(data) : null;

    /// <summary>Equal but for the rounding of constants, which may be float16.</summary>
    private static bool IsNear(float number, float expected) => Math.Abs(number - expected) <= 1e-3f * Math.Abs(expected);
}
