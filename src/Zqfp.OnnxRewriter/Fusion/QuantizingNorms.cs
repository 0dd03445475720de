using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// A norm whose only reader is QuantizeTokens becomes NormQuantizeTokens: SimplifiedLayerNormalization, RMSNormalization,
/// LayerNormalization, SkipSimplifiedLayerNormalization, SkipLayerNormalization, and an RMS norm spelled in float32 arithmetic, where the
/// model is float16 between casts.
/// </summary>
/// <param name="nodes">The nodes.</param>
/// <param name="constant">An initializer's content, or null.</param>
/// <param name="typeOf">A value's element type as the model declares it, or null.</param>
internal sealed class QuantizingNorms(FusedNodes nodes, Func<string, TensorData?> constant, Func<string, DataType?> typeOf)
{
    private const float UsualEpsilon = 1e-5f;

    /// <summary>What a norm reads and makes.</summary>
    private sealed record Norm(NodeProto First, IEnumerable<NodeProto> Others, string X, string Gain, string? Skip, string? Shift,
        string? Sum, float Epsilon, bool IsCentered);

    public List<NodeProto> Apply()
    {
        foreach (NodeProto quantize in nodes.Nodes.Where(node =>
            node.Domain == OperatorNames.Domain && node.OpType == OperatorNames.QuantizeTokens))
        {
            string value = quantize.Input[0];
            if (nodes.Reads(value) == 1 && Find(value) is { } norm && HasOneType(norm, value))
            {
                nodes.Replace(norm.First, [Fuse(norm, quantize)], [quantize, .. norm.Others]);
            }
        }

        return nodes.Apply();
    }

    private Norm? Find(string value) => Single(value) ?? Spelled(value);

    private Norm? Single(string value)
    {
        foreach ((string type, string domain, bool isCentered, bool hasSkip) in ((string, string, bool, bool)[])
        [
            ("SimplifiedLayerNormalization", "", false, false), ("RMSNormalization", "", false, false),
            ("LayerNormalization", "", true, false),
            ("SkipSimplifiedLayerNormalization", OperatorNames.MicrosoftDomain, false, true),
            ("SkipLayerNormalization", OperatorNames.MicrosoftDomain, true, true),
        ])
        {
            if (nodes.Producer(value, type, domain) is not { } node || node.Output[0] != value
                || Attributes.Int(node, "axis", -1) != -1)
            {
                continue;
            }

            // Of a skipping norm: X, skip, gain, shift (of the centered one), bias; the sum is its last output.
            int gain = hasSkip ? 2 : 1, shift = gain + 1, bias = isCentered ? shift + 1 : shift;
            if (hasSkip && Input(node, bias) is not null)
            {
                return null;
            }

            string? sum = hasSkip ? Output(node, 3) : null;
            bool hasOthers = node.Output.Skip(1).Any(output => output.Length > 0 && output != sum && nodes.Reads(output) > 0);
            return hasOthers || Input(node, gain) is null
                ? null
                : new Norm(node, [], node.Input[0], node.Input[gain], hasSkip ? node.Input[1] : null,
                    isCentered ? Input(node, shift) : null, sum, Attributes.Float(node, "epsilon", UsualEpsilon), isCentered);
        }

        return null;
    }

    /// <summary>
    /// gain * (x / sqrt(mean(x^2) + epsilon)), or with a reciprocal in place of the quotient; a float16 x is cast first, and what the
    /// float16 gain is multiplied with is cast back.
    /// </summary>
    private Norm? Spelled(string value)
    {
        if (nodes.Producer(value, "Mul") is not { } scale || Constant(scale) is not { } scaled || scaled.Data.Dims.Count != 1)
        {
            return null;
        }

        string x;
        string root;
        string unit = scaled.Other;
        List<NodeProto> inner = [];
        bool isHalf = scaled.Data.Type == DataType.Float16;
        if (isHalf)
        {
            if (nodes.Once(unit, "Cast") is not { } narrowed || !IsCastTo(narrowed, DataType.Float16))
            {
                return null;
            }

            inner.Add(narrowed);
            unit = narrowed.Input[0];
        }
        else if (scaled.Data.Type != DataType.Float)
        {
            return null;
        }

        if (nodes.Once(unit, "Div") is { } quotient)
        {
            (x, root) = (quotient.Input[0], quotient.Input[1]);
            inner.Add(quotient);
        }
        else if (nodes.Once(unit, "Mul") is { } product
            && product.Input.Select(input => nodes.Once(input, "Reciprocal")).FirstOrDefault(node => node is not null) is { } reciprocal)
        {
            (x, root) = (product.Input[0] == reciprocal.Output[0] ? product.Input[1] : product.Input[0], reciprocal.Input[0]);
            inner.AddRange([product, reciprocal]);
        }
        else
        {
            return null;
        }

        if (nodes.Once(root, "Sqrt") is not { } squareRoot || nodes.Once(squareRoot.Input[0], "Add") is not { } added
            || Constant(added) is not { } epsilon || SingleNumber.Of(epsilon.Data) is not { } number
            || nodes.Once(epsilon.Other, "ReduceMean") is not { } mean || !IsOfLastAxis(mean)
            || (nodes.Once(mean.Input[0], "Pow") ?? nodes.Once(mean.Input[0], "Mul")) is not { } square || !IsSquareOf(square, x))
        {
            return null;
        }

        if (isHalf)
        {
            if (nodes.Producer(x, "Cast") is not { } widened || !IsCastTo(widened, DataType.Float)
                || typeOf(widened.Input[0]) != DataType.Float16)
            {
                return null;
            }

            // By the quotient and the square.
            if (nodes.Reads(x) == 1 + square.Input.Count(input => input == x))
            {
                inner.Add(widened);
            }

            x = widened.Input[0];
        }

        return new Norm(
            scale, [.. inner, squareRoot, added, mean, square], x, scale.Input.First(input => input != scaled.Other), null, null, null,
            number, IsCentered: false);
    }

    private static bool IsCastTo(NodeProto node, DataType type) => Attributes.Int(node, "to", 0) == (int)type;

    private bool IsSquareOf(NodeProto node, string x) => node.Input[0] == x
        && (node.OpType == "Mul" ? node.Input[1] == x : constant(node.Input[1]) is { } two && SingleNumber.Of(two) == 2);

    private bool IsOfLastAxis(NodeProto mean)
    {
        IReadOnlyList<long>? axes = Attributes.Ints(mean, "axes");
        if (axes is null && Input(mean, 1) is { } given && constant(given) is { Type: DataType.Int64, ByteLength: sizeof(long) } data)
        {
            axes = [BitConverter.ToInt64(data.Slice(0, sizeof(long)).Span)];
        }

        return axes is [-1] && Attributes.Int(mean, "keepdims", 1) == 1;
    }

    /// <summary>The one input of two that is a constant, and the other.</summary>
    private (TensorData Data, string Other)? Constant(NodeProto node) =>
        constant(node.Input[0]) is { } first ? (first, node.Input[1])
        : constant(node.Input[1]) is { } second ? (second, node.Input[0])
        : null;

    /// <summary>The operator takes X, gain, skip and shift of one type, float or float16.</summary>
    private bool HasOneType(Norm norm, string value)
    {
        if (constant(norm.Gain) is not { Dims.Count: 1 } gain || gain.Type is not (DataType.Float or DataType.Float16)
            || (norm.Shift is not null && constant(norm.Shift) is not { Dims.Count: 1 }))
        {
            return false;
        }

        DataType? type = typeOf(value) ?? typeOf(norm.X);
        return norm.Others.Any() || type == gain.Type;
    }

    private static NodeProto Fuse(Norm norm, NodeProto quantize)
    {
        var fused = new NodeProto
        {
            Domain = OperatorNames.Domain,
            OpType = OperatorNames.NormQuantizeTokens,
            Name = quantize.Name,
            Input = { norm.X, norm.Gain },
            Output = { quantize.Output },
            Attribute = { quantize.Attribute.Select(attribute => attribute.Clone()) },
        };
        if (norm.Skip is not null || norm.Shift is not null)
        {
            fused.Input.Add(norm.Skip ?? "");
        }

        if (norm.Shift is not null)
        {
            fused.Input.Add(norm.Shift);
        }

        if (norm.Sum is not null)
        {
            fused.Output.Add(norm.Sum);
        }

        fused.Attribute.Add(Attributes.Make(OperatorNames.Epsilon, norm.Epsilon));
        if (norm.IsCentered)
        {
            fused.Attribute.Add(Attributes.Make(OperatorNames.Centered, 1));
        }

        return fused;
    }

    private static string? Input(NodeProto node, int index) =>
        index < node.Input.Count && node.Input[index].Length > 0 ? node.Input[index] : null;

    private static string? Output(NodeProto node, int index) =>
        index < node.Output.Count && node.Output[index].Length > 0 ? node.Output[index] : null;
}
