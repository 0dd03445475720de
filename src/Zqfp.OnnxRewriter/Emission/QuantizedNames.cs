namespace Zqfp.OnnxRewriter;

/// <summary>The names of the initializers that replace a weight, in every profile.</summary>
internal static class QuantizedNames
{
    private const string Infix = ".zqfp.";

    /// <summary>A part of a layer's quantized weight, such as <c>q_proj.zqfp.codes</c>.</summary>
    public static string Part(string layer, string part) => layer + Infix + part;

    /// <summary>Whether an initializer is part of a quantized weight.</summary>
    public static bool IsPart(string initializer) => initializer.Contains(Infix, StringComparison.Ordinal);
}
