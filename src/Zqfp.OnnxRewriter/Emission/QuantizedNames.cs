namespace Zqfp.OnnxRewriter;

/// <summary>The names of the initializers that replace a weight, in every profile.</summary>
internal static class QuantizedNames
{
    /// <summary>What stands between a layer's name and that of a part of its weight, as in <c>q_proj.zqfp.codes</c>.</summary>
    public const string Marker = ".zqfp.";

    /// <summary>Whether an initializer is part of a quantized weight.</summary>
    public static bool IsPart(string initializer) => initializer.Contains(Marker, StringComparison.Ordinal);
}
