using Zqfp.CudaOps;

namespace Zqfp.ModelBench;

/// <summary>How a candidate's products hold their weights.</summary>
/// <param name="Name">What the report calls it.</param>
/// <param name="Block">Weights that share a scale; 0 for float16.</param>
/// <param name="Operator">The product, where it is one of domain zqfp; otherwise MatMul or MatMulNBits.</param>
/// <param name="Rank">Rank of the low-rank branch.</param>
/// <param name="Joins">Whether products of one input are one, and norms and gates quantize what they make.</param>
/// <param name="Projects">Whether what quantizes tokens takes their products with the low-rank factor A.</param>
/// <param name="Kept">In which form the session keeps the weights.</param>
internal sealed record WeightKind(
    string Name, int Block = 0, string? Operator = null, int Rank = 0, bool Joins = false, bool Projects = false,
    ZqfpWeights Kept = ZqfpWeights.Packed)
{
    /// <summary>Name of the model's file, which kinds that differ only in what the session does have in common.</summary>
    public string File => Kept == ZqfpWeights.Packed ? Name : Name[..Name.LastIndexOf('-')];

    /// <summary>All candidates.</summary>
    public static IReadOnlyList<WeightKind> All { get; } =
    [
        new("float16"),
        new("int4-32", 32),
        new("int4-128", 128),
        new("zqfp", 256, OperatorNames.MatMulW4A8, Joins: true),
        new("zqfp-rank8", 256, OperatorNames.MatMulW4A8, Rank: 8, Joins: true, Projects: true),
        new("zqfp-both", 256, OperatorNames.MatMulW4A8, Joins: true, Kept: ZqfpWeights.Both),
        new("zqfp-rank8-both", 256, OperatorNames.MatMulW4A8, Rank: 8, Joins: true, Projects: true, Kept: ZqfpWeights.Both),
        new("zqfp-rank8-expanded", 256, OperatorNames.MatMulW4A8, Rank: 8, Joins: true, Projects: true, Kept: ZqfpWeights.Expanded),
        new("zqfp-rank8-inside", 256, OperatorNames.MatMulW4A8, Rank: 8, Joins: true),
        new("zqfp-rank8-separate", 256, OperatorNames.MatMulW4A8, Rank: 8),
        new("zqfp-free-scales", 256, OperatorNames.MatMulW4A8Scaled, Joins: true),
        new("zqfp-w8a8", 256, OperatorNames.MatMulW8A8, Rank: 8),
        new("zqfp-w4a16", 256, OperatorNames.MatMulW4A16, Rank: 8),
    ];
}
