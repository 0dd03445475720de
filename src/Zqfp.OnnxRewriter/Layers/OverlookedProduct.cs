using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>A node that multiplies with a constant and yet is none of the linear layers that were found, and why.</summary>
/// <param name="Name">The node's name, or its output's where it has none.</param>
/// <param name="Operator">Its operator.</param>
/// <param name="Weight">The constant.</param>
/// <param name="Reason">Why it is no linear layer, as the end of a sentence about it.</param>
public sealed record OverlookedProduct(string Name, string Operator, TensorProto Weight, string Reason)
{
    private static readonly HashSet<string> Products = ["MatMul", "Gemm", "FusedMatMul", "MatMulInteger", "MatMulNBits", "MatMulBnb4", "QLinearMatMul", "Conv"];

    /// <summary>Every such product of a graph, in the order they run.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="layers">The linear layers found in it.</param>
    public static IReadOnlyList<OverlookedProduct> Find(GraphIndex graph, IReadOnlyList<LinearLayer> layers)
    {
        HashSet<NodeProto> taken = new(layers.SelectMany(layer => layer.Nodes), ReferenceEqualityComparer.Instance);
        return [.. graph.Nodes.Where(node => IsProduct(node) && !taken.Contains(node)).Select(node => Describe(graph, node)).OfType<OverlookedProduct>()];
    }

    private static bool IsProduct(NodeProto node) =>
        node.Domain == OperatorNames.Domain ? node.OpType.StartsWith("MatMul", StringComparison.Ordinal) : Products.Contains(node.OpType);

    private static OverlookedProduct? Describe(GraphIndex graph, NodeProto node)
    {
        int index = node.Input.Select(input => Constant(graph, input)).ToList().FindIndex(constant => constant?.Dims.Count(dim => dim > 1) >= 2);
        if (index < 0)
        {
            return null;
        }

        TensorProto tensor = Constant(graph, node.Input[index])!;
        var type = (DataType)tensor.DataType;
        string name = node.Name.Length > 0 ? node.Name : node.Output[0];
        return new OverlookedProduct(name, node.OpType, tensor, Explain(node, index, tensor, type));
    }

    private static TensorProto? Constant(GraphIndex graph, string value) =>
        graph.Initializer(value) ?? ConstantWeight.Trace(graph, value)?.Tensor;

    private static string Explain(NodeProto node, int index, TensorProto tensor, DataType type) => node.OpType switch
    {
        _ when node.Domain == OperatorNames.Domain || QuantizedNames.IsPart(tensor.Name) => "quantized already",
        "MatMulNBits" or "MatMulBnb4" or "MatMulInteger" or "QLinearMatMul" => "quantized already, by another tool",
        "Conv" or "FusedMatMul" => $"a {node.OpType}; only MatMul and Gemm are quantized",
        _ when tensor.Dims.Count != 2 => $"its constant has {tensor.Dims.Count} dimensions instead of 2",
        _ when !TensorTypes.IsFloat(type) => $"its constant has element type {TensorTypes.Name(type)}",
        _ when index == 0 => "its constant is the left factor",
        "Gemm" when Attributes.Int(node, "transA", 0) != 0 || Attributes.Float(node, "alpha", 1) != 1 || Attributes.Float(node, "beta", 1) != 1 =>
            "a Gemm with transA, alpha or beta",
        _ => "the logits do not depend on it, or its shape is unusual",
    };
}
