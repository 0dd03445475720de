using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>The weights of one of the products of a MoE or QMoE operator: a value [E, N, K].</summary>
/// <param name="Value">The value.</param>
/// <param name="Experts">E.</param>
/// <param name="Rows">N.</param>
/// <param name="Columns">K.</param>
/// <param name="Type">The element type the operator computes in.</param>
/// <param name="Bias">The value [E, N] that is added, or null.</param>
internal sealed record MoeWeights(string Value, long Experts, long Rows, long Columns, DataType Type, string? Bias)
{
    /// <summary>Inputs of a product: weights and bias of MoE, weights, scales and bias of QMoE, from this one on.</summary>
    private const int First = 2;

    /// <summary>Whether the operator has weights for the product <paramref name="part"/>, from 1.</summary>
    public static bool IsGiven(NodeProto node, int part) => Input(node, First + ((part - 1) * InputsOf(node))) is not null;

    /// <summary>The weights of a MoE, or null where they are no constant.</summary>
    public static MoeWeights? Of(GraphIndex graph, NodeProto node, int part)
    {
        int weights = First + ((part - 1) * InputsOf(node));
        return Input(node, weights) is { } value
            && ConstantWeight.TraceStack(graph, value) is { Transposed: false, Dims: [var experts, var rows, var columns], Type: var type }
            ? new MoeWeights(value, experts, rows, columns, type, Input(node, weights + 1))
            : null;
    }

    /// <summary>The names of codes, scales and bias of a product of a QMoE.</summary>
    public static (string? Codes, string? Scales, string? Bias) InputsOf(NodeProto node, int part)
    {
        int weights = First + ((part - 1) * InputsOf(node));
        return (Input(node, weights), Input(node, weights + 1), Input(node, weights + 2));
    }

    /// <summary>An input that is given, or null.</summary>
    public static string? Input(NodeProto node, int index) => node.Input.ElementAtOrDefault(index) is { Length: > 0 } value ? value : null;

    private static int InputsOf(NodeProto node) => node.OpType == "MoE" ? 2 : 3;
}
