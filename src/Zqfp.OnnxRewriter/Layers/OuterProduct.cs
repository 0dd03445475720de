using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// A product with a constant of one input, such as that of positions and frequencies: nothing is summed, and codes of its constant with a
/// scale for each number would be larger than the constant.
/// </summary>
internal static class OuterProduct
{
    /// <summary>Whether <paramref name="node"/> is one, as a MatMul or Gemm with the constant on either side, or of experts.</summary>
    public static bool Is(GraphIndex graph, NodeProto node) => (node.Domain, node.OpType) switch
    {
        (OperatorNames.Domain, OperatorNames.ExpertMatMul) =>
            ConstantWeight.TraceStack(graph, node.Input[2]) is { } stack
            && Inputs(stack, first: 1, isInputMajor: Attributes.Int(node, OperatorNames.InputMajor, 0) != 0) == 1,
        ("", "MatMul" or "Gemm") when ConstantWeight.Trace(graph, node.Input[1]) is { } right =>
            Inputs(right, first: 0, isInputMajor: Attributes.Int(node, "transB", 0) == 0) == 1,
        ("", "MatMul" or "Gemm") when ConstantWeight.Trace(graph, node.Input[0]) is { } left =>
            Inputs(left, first: 0, isInputMajor: Attributes.Int(node, "transA", 0) != 0) == 1,
        _ => false,
    };

    /// <param name="weight">The constant.</param>
    /// <param name="first">The first dimension of its matrices.</param>
    /// <param name="isInputMajor">Whether the product reads them as [K, N].</param>
    private static long Inputs(ConstantWeight weight, int first, bool isInputMajor) =>
        weight.Dims[isInputMajor != weight.Transposed ? first : first + 1];
}
