
namespace Zqfp.CudaOps;

/// <summary>What <c>QuantizeTokens</c> takes and gives, wherever it computes.</summary>
internal static class QuantizeTokensSignature
{
    /// <summary>Position of A.</summary>
    public const int FactorInput = 1;

    /// <summary>Position of Z.</summary>
    public const int ProjectionOutput = 2;

    /// <summary>X, float or float16, and optionally A.</summary>
    public static IReadOnlyList<OrtParameter> Inputs { get; } =
        [new OrtParameter("X", OrtElementType.Undefined), ProjectionShape.Factor];

    /// <summary>Xq, Sx, and optionally Z.</summary>
    public static IReadOnlyList<OrtParameter> Outputs { get; } =
    [
        new OrtParameter("Xq", OrtElementType.Float8E4M3FN), new OrtParameter("Sx", OrtElementType.Float), ProjectionShape.Result,
    ];

    /// <summary>Xq has the shape of X, Sx one element a token, Z one for each row of A.</summary>
    public static void Infer(in OrtShapeInference inference)
    {
        InferCodes(inference);
        if (inference.TryGetInput(0, out _, out IReadOnlyList<OrtDimension> x) && x.Count > 0)
        {
            ProjectionShape.Infer(inference, FactorInput, ProjectionOutput, x.Take(x.Count - 1));
        }
    }

    /// <summary>Xq and Sx alone.</summary>
    public static void InferCodes(in OrtShapeInference inference)
    {
        if (inference.TryGetInput(0, out _, out IReadOnlyList<OrtDimension> x))
        {
            inference.SetOutput(0, OrtElementType.Float8E4M3FN, x);
            inference.SetOutput(1, OrtElementType.Float, x.Count > 0 ? [.. x.Take(x.Count - 1), new OrtDimension(1, null)] : []);
        }
    }
}
