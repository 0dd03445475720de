using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// An activation whose only reader is QuantizeTokens, or which is multiplied with another value that only QuantizeTokens reads, becomes
/// ActivateQuantizeTokens; a gated SiLU becomes GateQuantizeTokens.
/// </summary>
/// <param name="nodes">The nodes.</param>
/// <param name="constant">An initializer's content, or null.</param>
internal sealed class QuantizingActivations(FusedNodes nodes, Func<string, TensorData?> constant)
{
    private readonly ActivationPatterns _patterns = new(nodes, constant);

    public List<NodeProto> Apply()
    {
        foreach (NodeProto quantize in nodes.Nodes.Where(node =>
            node.Domain == OperatorNames.Domain && node.OpType == OperatorNames.QuantizeTokens))
        {
            if (Gated(quantize.Input[0]) is { } gated)
            {
                nodes.Replace(quantize, [Fuse(gated.Activation, gated.Up, quantize)], [gated.Product, .. gated.Activation.Nodes]);
            }
            else if (_patterns.Find(quantize.Input[0]) is { } plain)
            {
                nodes.Replace(quantize, [Fuse(plain, null, quantize)], plain.Nodes);
            }
        }

        return nodes.Apply();
    }

    private (FoundActivation Activation, string Up, NodeProto Product)? Gated(string value)
    {
        if (nodes.Once(value, "Mul") is not { } product)
        {
            return null;
        }

        foreach ((string activated, string up) in ((string, string)[])
            [(product.Input[0], product.Input[1]), (product.Input[1], product.Input[0])])
        {
            if (_patterns.Find(activated) is { } found && IsShapedAs(up, found.X))
            {
                return (found, up, product);
            }
        }

        return null;
    }

    /// <summary>
    /// Whether a factor has as many columns as the other, as far as what makes it tells: the operator takes two of one shape, and a weight
    /// of each token, which is broadcast, is none of them.
    /// </summary>
    private bool IsShapedAs(string up, string x)
    {
        if (constant(up) is not null)
        {
            return false;
        }

        return nodes.Producer(up) is not { } maker || maker.Domain == OperatorNames.Domain
            || maker.OpType is "MatMul" or "Gemm" or "Add" or "Split" or OperatorNames.MatMulNBits
            || nodes.Producer(x) is { } other && other.OpType == maker.OpType && other.Input[0] == maker.Input[0];
    }

    private static NodeProto Fuse(FoundActivation activation, string? up, NodeProto quantize)
    {
        bool isSilu = activation.Kind == TokenActivation.Silu && up is not null;
        var fused = new NodeProto
        {
            Domain = OperatorNames.Domain,
            OpType = isSilu ? OperatorNames.GateQuantizeTokens : OperatorNames.ActivateQuantizeTokens,
            Name = quantize.Name,
            Input = { activation.X },
            Output = { quantize.Output },
            Attribute = { quantize.Attribute.Select(attribute => attribute.Clone()) },
        };
        if (up is not null)
        {
            fused.Input.Add(up);
        }

        if (!isSilu)
        {
            fused.Attribute.Add(Attributes.Make(OperatorNames.Activation, (long)activation.Kind));
        }

        return fused;
    }
}
