
namespace Zqfp.CudaOps;

/// <summary>What <c>QuantizeTokens</c> takes and gives, wherever it computes.</summary>
internal static class QuantizeTokensSignature
{
    /// <summary>X, float or float16.</summary>
    public static IReadOnlyList<OrtParameter> Inputs { get; } = [new OrtParameter("X", OrtElementType.Undefined)];

    /// <summary>Xq and Sx.</summary>
    public static IReadOnlyList<OrtParameter> Outputs { get; } =
        [new OrtParameter("Xq", OrtElementType.Float8E4M3FN), new OrtParameter("Sx", OrtElementType.Float)];

    /// <summary>Xq has the shape of X, Sx one element a token.</summary>
    public static void Infer(in OrtShapeInference inference)
    {
        if (inference.TryGetInput(0, out _, out IReadOnlyList<OrtDimension> x))
        {
            inference.SetOutput(0, OrtElementType.Float8E4M3FN, x);
            inference.SetOutput(1, OrtElementType.Float, x.Count > 0 ? [.. x.Take(x.Count - 1), new OrtDimension(1, null)] : []);
        }
    }
}
