namespace Zqfp.CudaOps;

/// <summary>What <c>NormQuantizeTokens</c> takes and gives, wherever it computes.</summary>
internal static class NormQuantizeTokensSignature
{
    /// <summary>Position of what the norm is multiplied with.</summary>
    public const int GainInput = 1;

    /// <summary>Position of what is added to X.</summary>
    public const int SkipInput = 2;

    /// <summary>Position of what is added to the norm.</summary>
    public const int ShiftInput = 3;

    /// <summary>Position of A.</summary>
    public const int FactorInput = 4;

    /// <summary>Position of X + skip.</summary>
    public const int SumOutput = 2;

    /// <summary>Position of Z.</summary>
    public const int ProjectionOutput = 3;

    /// <summary>X, gain, and optionally skip and shift, all float or all float16; and optionally A.</summary>
    public static IReadOnlyList<OrtParameter> Inputs { get; } =
    [
        new OrtParameter("X", OrtElementType.Undefined), new OrtParameter("gain", OrtElementType.Undefined),
        new OrtParameter("skip", OrtElementType.Undefined, Optional: true),
        new OrtParameter("shift", OrtElementType.Undefined, Optional: true), ProjectionShape.Factor,
    ];

    /// <summary>Xq, Sx, and optionally the sum and Z.</summary>
    public static IReadOnlyList<OrtParameter> Outputs { get; } =
    [
        new OrtParameter("Xq", OrtElementType.Float8E4M3FN), new OrtParameter("Sx", OrtElementType.Float),
        new OrtParameter("sum", OrtElementType.Undefined, Optional: true), ProjectionShape.Result,
    ];

    /// <summary>Xq and the sum have the shape of X, Sx one element a token.</summary>
    public static void Infer(in OrtShapeInference inference)
    {
        QuantizeTokensSignature.InferCodes(inference);
        if (inference.TryGetInput(0, out OrtElementType type, out IReadOnlyList<OrtDimension> x) && x.Count > 0)
        {
            ProjectionShape.Infer(inference, FactorInput, ProjectionOutput, x.Take(x.Count - 1));

            // Last: of a node without the output this fails.
            inference.SetOutput(SumOutput, type, x);
        }
    }
}
