using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>A product of an activation [.., K] with a constant weight [N, K], found in a graph: <c>y = x W^T + bias</c>.</summary>
internal sealed record LinearLayer
{
    /// <summary>The name of the layer's node, or of its output where the node has none. Unique in the graph.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// The module of the training framework that it was, such as <c>model.layers.0.mlp.down_proj</c>; null where the exporter did not say.
    /// </summary>
    public string? Module { get; init; }

    /// <summary>What people call it: the module where that is known, else the name.</summary>
    public string DisplayName => Module ?? Name;

    /// <summary>The nodes that compute it: a MatMul or Gemm, and the Add of its bias where that is a node of its own.</summary>
    public required IReadOnlyList<NodeProto> Nodes { get; init; }

    /// <summary>The activation it reads.</summary>
    public required string Input { get; init; }

    /// <summary>The value it makes, bias included.</summary>
    public required string Output { get; init; }

    /// <summary>Its weight as a constant, or the stack of which it is one matrix.</summary>
    public required ConstantWeight Source { get; init; }

    /// <summary>
    /// The name of the constant that holds its weight, or the codes that are dequantized to it, or of the value that is computed from
    /// constants.
    /// </summary>
    public string Weight => Source.Name;

    /// <summary>Whether the weight is stored [K, N], the way MatMul reads it, rather than [N, K].</summary>
    public required bool StoredInputMajor { get; init; }

    /// <summary>K, the length of an input row.</summary>
    public required int InFeatures { get; init; }

    /// <summary>N, the length of an output row.</summary>
    public required int OutFeatures { get; init; }

    /// <summary>The initializer [N] that is added, or null.</summary>
    public string? Bias { get; init; }

    /// <summary>Element type the product is computed in.</summary>
    public required DataType Type { get; init; }

    /// <summary>
    /// The name of the layer whose quantized weight this one reads too, because both have the same weight; null where it has its own.
    /// </summary>
    public string? SharesWeightOf { get; init; }

    /// <summary>Which of several experts it is; null for a layer that every row goes through.</summary>
    public ExpertPlace? Expert { get; init; }

    /// <summary>
    /// The value [.., 1] that each token's share of the output is multiplied with before anything else sees it: tokens for which it is 0 do
    /// not matter. Null where there is none.
    /// </summary>
    public string? RoutedBy { get; init; }

    /// <summary>
    /// The name of the first layer of the same expert that reads the same rows, as a gate projection before its up projection: they are
    /// quantized as one matrix, whose first low-rank factor both read. Null where it has its own.
    /// </summary>
    public string? JoinedTo { get; init; }

    /// <summary>Tells the matrix that it is quantized as, alone or with others: the same of all that are one.</summary>
    public string Matrix => JoinedTo ?? Name;

    /// <summary>Whether what it reads is made by other layers of its expert.</summary>
    public bool IsInner { get; init; }

    /// <summary>Whether a router decides which tokens go through it.</summary>
    public bool IsExpert => Expert is not null || RoutedBy is not null;

    /// <summary>The name of the layer that decides which tokens go through it; null where none or several do.</summary>
    public string? Router { get; init; }

    /// <summary>Whether it decides which expert a token goes to.</summary>
    public bool IsRouter { get; init; }

    /// <summary>Whether it makes the logits (no other linear layer stands between it and them).</summary>
    public bool IsHead { get; init; }

    /// <summary>Whether its weight is read by something that is not a linear layer: a tied embedding.</summary>
    public bool IsTied { get; init; }
}

/// <summary>A layer's place among the experts whose weights are one constant.</summary>
/// <param name="Group">The name of their product.</param>
/// <param name="Number">Its number, from 0.</param>
/// <param name="Count">How many experts there are.</param>
/// <param name="Index">The value that tells each row's expert.</param>
internal sealed record ExpertPlace(string Group, int Number, int Count, string Index);
