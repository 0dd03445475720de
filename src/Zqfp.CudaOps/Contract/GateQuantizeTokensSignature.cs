namespace Zqfp.CudaOps;

/// <summary>What <c>GateQuantizeTokens</c> and <c>ActivateQuantizeTokens</c> take and give, wherever they compute.</summary>
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

    /// <summary>The operators of this signature.</summary>
    public static IReadOnlyList<string> Names { get; } = [OperatorNames.GateQuantizeTokens, OperatorNames.ActivateQuantizeTokens];

    /// <summary>Xq has as many columns as gate, or half of them; Sx one element a token, Z one for each row of A.</summary>
    /// <param name="inference">The node.</param>
    /// <param name="name">Which of the operators it is.</param>
    public static void Infer(in OrtShapeInference inference, string name)
    {
        bool isPacked = name == OperatorNames.GateQuantizeTokens
            ? !inference.TryGetInput(UpInput, out _, out _)
            : inference.GetInt64(OperatorNames.Packed, 0) == 1;
        if (!inference.TryGetInput(0, out _, out IReadOnlyList<OrtDimension> gate) || gate.Count == 0)
        {
            return;
        }

        OrtDimension last = isPacked ? new OrtDimension(gate[^1].Size / 2, null) : gate[^1];
        inference.SetOutput(0, OrtElementType.Float8E4M3FN, [.. gate.Take(gate.Count - 1), last]);
        inference.SetOutput(1, OrtElementType.Float, [.. gate.Take(gate.Count - 1), new OrtDimension(1, null)]);
        ProjectionShape.Infer(inference, FactorInput, QuantizeTokensSignature.ProjectionOutput, gate.Take(gate.Count - 1));
    }
}
