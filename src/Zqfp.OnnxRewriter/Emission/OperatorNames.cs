namespace Zqfp.OnnxRewriter.Emission;

/// <summary>Names of the operators that emitted models use. The contract is in <c>docs/operators.md</c>.</summary>
public static class OperatorNames
{
    /// <summary>The operators' domain.</summary>
    public const string Domain = "zqfp";

    /// <summary>Rounds each token to FP8 with a scale of its own.</summary>
    public const string QuantizeTokens = "QuantizeTokens";

    /// <summary>FP4 weight with power-of-two group ratios, FP8 activation.</summary>
    public const string MatMulW4A8 = "MatMulW4A8";

    /// <summary>FP4 weight with free group scales, FP8 activation.</summary>
    public const string MatMulW4A8Scaled = "MatMulW4A8Scaled";

    /// <summary>FP4 weight with power-of-two group ratios, float activation.</summary>
    public const string MatMulW4A16 = "MatMulW4A16";

    /// <summary>FP8 weight with power-of-two group ratios, FP8 activation.</summary>
    public const string MatMulW8A8 = "MatMulW8A8";

    /// <summary>Rounds each token to a format and back.</summary>
    public const string RoundTokens = "RoundTokens";
}
