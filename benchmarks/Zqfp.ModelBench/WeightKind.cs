namespace Zqfp.ModelBench;

/// <summary>How a candidate's products hold their weights.</summary>
/// <param name="Name">What the report calls it.</param>
/// <param name="Block">Weights that share a scale; 0 for float16.</param>
/// <param name="IsOurs">Operators of domain zqfp; otherwise MatMul or MatMulNBits.</param>
/// <param name="Rank">Rank of the low-rank branch.</param>
/// <param name="Joins">Whether products of one input are one, and norms and gates quantize what they make.</param>
/// <param name="HasFloatScales">Whether each group has a scale of its own in place of a power of two.</param>
internal sealed record WeightKind(
    string Name, int Block = 0, bool IsOurs = false, int Rank = 0, bool Joins = false, bool HasFloatScales = false)
{
    /// <summary>All candidates.</summary>
    public static IReadOnlyList<WeightKind> All { get; } =
    [
        new("float16"),
        new("int4-32", 32),
        new("int4-128", 128),
        new("zqfp", 256, IsOurs: true, Joins: true),
        new("zqfp-rank8", 256, IsOurs: true, Rank: 8, Joins: true),
        new("zqfp-rank8-separate", 256, IsOurs: true, Rank: 8),
        new("zqfp-free-scales", 256, IsOurs: true, Joins: true, HasFloatScales: true),
    ];
}
