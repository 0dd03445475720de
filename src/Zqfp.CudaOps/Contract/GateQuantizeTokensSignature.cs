namespace Zqfp.CudaOps;

/// <summary>What <c>GateQuantizeTokens</c> takes and gives, wherever it computes.</summary>
internal static class GateQuantizeTokensSignature
{
    /// <summary>Position of what is gated; without it the last dimension of gate holds both.</summary>
    public const int UpInput = 1;

    /// <summary>Position of A.</summary>
    public const int FactorInput = 2;

    /// <summary>gate and optionally up, both float or both float16, and optionally A.</summary>
    public static IReadOnlyList<OrtParameter> Inputs { get; } =
    [
        new OrtParameter("gate", OrtElementType.Undefined), new OrtParameter("up", OrtElementType.Undefined, Optional: true),
        ProjectionShape.Factor,
    ];

    /// <summary>Xq has as many columns as up, or half of gate's; Sx one element a token, Z one for each row of A.</summary>
    public static void Infer(in OrtShapeInference inference)
    {
        if (!inference.TryGetInput(0, out _, out IReadOnlyList<OrtDimension> gate) || gate.Count == 0)
        {
            return;
        }

        bool isPacked = !inference.TryGetInput(UpInput, out _, out _);
        OrtDimension last = isPacked ? new OrtDimension(gate[^1].Size / 2, null) : gate[^1];
        inference.SetOutput(0, OrtElementType.Float8E4M3FN, [.. gate.Take(gate.Count - 1), last]);
        inference.SetOutput(1, OrtElementType.Float, [.. gate.Take(gate.Count - 1), new OrtDimension(1, null)]);
        ProjectionShape.Infer(inference, FactorInput, QuantizeTokensSignature.ProjectionOutput, gate.Take(gate.Count - 1));
    }
}
