namespace Zqfp.CudaOps;

/// <summary>What a node <c>GateQuantizeTokens</c> or <c>ActivateQuantizeTokens</c> says of itself.</summary>
/// <param name="Activation">What its tokens are passed through.</param>
/// <param name="IsGated">Whether the result is multiplied with another value.</param>
/// <param name="IsPacked">Whether that is the second half of the first input.</param>
/// <param name="Rotation">How its tokens are rotated.</param>
/// <param name="Projection">What its codes are multiplied with.</param>
internal sealed record ActivationNode(
    TokenActivation Activation, bool IsGated, bool IsPacked, TokenRotation Rotation, ProjectionShape Projection)
{
    /// <summary>Reads a node.</summary>
    /// <param name="info">The node.</param>
    /// <param name="name">Which of the two operators it is.</param>
    /// <param name="factor">A; absent where there is none.</param>
    /// <exception cref="ZqfpException">ZQFP4006: it breaks a rule of the operator.</exception>
    public static ActivationNode Read(in OrtKernelInfo info, string name, out OrtTensorView factor)
    {
        var rotation = TokenRotation.Read(info);
        var projection = ProjectionShape.Read(
            info, GateQuantizeTokensSignature.FactorInput, QuantizeTokensSignature.ProjectionOutput, out factor);
        if (name == OperatorNames.GateQuantizeTokens)
        {
            bool isPacked = !info.HasInput(GateQuantizeTokensSignature.UpInput);
            return new ActivationNode(TokenActivation.Silu, IsGated: true, isPacked, rotation, projection);
        }

        bool hasUp = OptionalInput.IsGiven(info, GateQuantizeTokensSignature.UpInput, 1);

        long activation = info.GetInt64(OperatorNames.Activation, -1), packed = info.GetInt64(OperatorNames.Packed, 0);
        if (activation is < 0 or > (long)TokenActivation.Relu)
        {
            throw new ZqfpException("ZQFP4006", $"Attribute activation must be 0 to {(int)TokenActivation.Relu}; it is {activation}.");
        }

        if (packed is not (0 or 1) || (packed == 1 && hasUp))
        {
            throw new ZqfpException("ZQFP4006", $"Attribute packed must be 0, or 1 without the input up; it is {packed}.");
        }

        return new ActivationNode((TokenActivation)activation, hasUp || packed == 1, packed == 1, rotation, projection);
    }
}
