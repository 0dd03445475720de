using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>The operators that multiply activations with a weight, in whatever form and precision the weight is.</summary>
internal static class ProductNode
{
    private static readonly HashSet<string> Standard =
    [
        "MatMul", "Gemm", "MatMulInteger", "QLinearMatMul", "Conv", "ConvInteger", "QLinearConv", "Einsum", "LSTM", "GRU", "RNN",
    ];

    private static readonly HashSet<string> Microsoft =
    [
        "FusedMatMul", "TransposeMatMul", "FusedGemm", "FusedConv", "MatMulNBits", "MatMulBnb4", "MatMulFpQ4",
        "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QGemm",
        "MatMulBlockQuantizedFp4Weight", "MatMulBlockQuantizedFp8Weight", "GemmFloat8", "MoE", "QMoE", "Attention",
        "QAttention", "DecoderAttention",
        "LongformerAttention", "PackedAttention", "GemmFastGelu", "DynamicQuantizeLSTM",
    ];

    /// <summary>Operators that multiply with several matrices and do other things between.</summary>
    private static readonly HashSet<string> Compound =
    [
        "MoE", "QMoE", "Attention", "QAttention", "DecoderAttention", "LongformerAttention", "PackedAttention", "LSTM", "GRU", "RNN",
        "DynamicQuantizeLSTM",
    ];

    /// <summary>Whether what the node makes is not the product itself: its projections are inside.</summary>
    public static bool IsCompound(NodeProto node) => Compound.Contains(node.OpType);

    /// <summary>Whether the node is a product; its factors may both be activations.</summary>
    public static bool Is(NodeProto node) => node.Domain switch
    {
        "" => Standard.Contains(node.OpType),
        "com.microsoft" => Microsoft.Contains(node.OpType),
        OperatorNames.Domain => node.OpType.StartsWith("MatMul", StringComparison.Ordinal)
            || node.OpType.StartsWith(OperatorNames.ExpertPrefix, StringComparison.Ordinal),
        _ => false,
    };

    /// <summary>The length of the rows that the node makes of a constant matrix, or null where it is no such product.</summary>
    public static long? Outputs(GraphIndex graph, NodeProto node)
    {
        if (!Is(node))
        {
            return null;
        }

        switch (node.OpType)
        {
            case "MatMulNBits" or "MatMulBnb4":
                return Attributes.Int(node, "N", 0) is > 0 and var rows ? rows : null;
            case "Conv" or "FusedConv" or "ConvInteger":
                return Constant(graph, node, 1)?.Dims is [var channels, ..] ? channels : null;
            case "Einsum":
                return EinsumRows(graph, node);
            case "MatMulBlockQuantizedFp4Weight" or "MatMulBlockQuantizedFp8Weight":
                return Constant(graph, node, 1)?.Dims is [var n, _] ? n : null;
            case var _ when node.Domain == OperatorNames.Domain:
                // Its codes are the first matrix among its initializers.
                return node.Input.Select(graph.Initializer).FirstOrDefault(tensor => tensor?.Dims.Count == 2)?.Dims[0];
            case var _ when IsCompound(node):
                return null;
        }

        int right = node.OpType == "QLinearMatMul" ? 3 : 1;
        if (node.Input.Count > right && ConstantWeight.TraceShape(graph, node.Input[right]) is { } weight)
        {
            bool isTurned = weight.Transposed != (Attributes.Int(node, "transB", 0) != 0);
            return weight.Dims[isTurned ? 0 : 1];
        }

        // On the left, the weight gives the rows of a matrix that is transposed behind.
        return node.Input.Count > 1 && ConstantWeight.TraceShape(graph, node.Input[0]) is { } left
            ? left.Dims[left.Transposed != (Attributes.Int(node, "transA", 0) != 0) ? 1 : 0]
            : null;
    }

    private static TensorProto? Constant(GraphIndex graph, NodeProto node, int input) =>
        node.Input.ElementAtOrDefault(input) is { Length: > 0 } value ? graph.Initializer(value) : null;

    private static long? EinsumRows(GraphIndex graph, NodeProto node)
    {
        if (EinsumEquation.Of(node) is not { Output: [.., var last] } equation)
        {
            return null;
        }

        (string value, string labels) = graph.Initializer(node.Input[0]) is not null
            ? (node.Input[0], equation.Left)
            : (node.Input[1], equation.Right);
        return labels.IndexOf(last, StringComparison.Ordinal) is >= 0 and var place
            && graph.Initializer(value)?.Dims.ElementAtOrDefault(place) is > 0 and var size
            ? size
            : null;
    }
}
