using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>SiLU(gate) * up whose only reader is QuantizeTokens becomes GateQuantizeTokens.</summary>
internal static class QuantizingGates
{
    public static List<NodeProto> Apply(FusedNodes nodes)
    {
        foreach (NodeProto quantize in nodes.Nodes.Where(node =>
            node.Domain == OperatorNames.Domain && node.OpType == OperatorNames.QuantizeTokens))
        {
            string value = quantize.Input[0];
            if (Once(nodes, value, "Mul") is not { } product)
            {
                continue;
            }

            foreach ((string silu, string up) in ((string, string)[])
                [(product.Input[0], product.Input[1]), (product.Input[1], product.Input[0])])
            {
                if (Once(nodes, silu, "Mul") is { } inner && GateOf(nodes, inner) is (var gate, { } sigmoid))
                {
                    var fused = new NodeProto
                    {
                        Domain = OperatorNames.Domain,
                        OpType = OperatorNames.GateQuantizeTokens,
                        Name = quantize.Name,
                        Input = { gate, up },
                        Output = { quantize.Output },
                        Attribute = { quantize.Attribute.Select(attribute => attribute.Clone()) },
                    };
                    nodes.Replace(quantize, [fused], [product, inner, sigmoid]);
                    break;
                }
            }
        }

        return nodes.Apply();
    }

    /// <summary>The gate, if a product is that of a value with its own sigmoid.</summary>
    private static (string Gate, NodeProto? Sigmoid) GateOf(FusedNodes nodes, NodeProto product)
    {
        foreach ((string gate, string open) in ((string, string)[])
            [(product.Input[0], product.Input[1]), (product.Input[1], product.Input[0])])
        {
            if (Once(nodes, open, "Sigmoid") is { } sigmoid && sigmoid.Input[0] == gate)
            {
                return (gate, sigmoid);
            }
        }

        return ("", null);
    }

    private static NodeProto? Once(FusedNodes nodes, string value, string type) =>
        nodes.Reads(value) == 1 ? nodes.Producer(value, type) : null;
}
