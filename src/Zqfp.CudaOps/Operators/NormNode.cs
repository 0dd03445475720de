namespace Zqfp.CudaOps;

/// <summary>What a node <c>NormQuantizeTokens</c> says of itself.</summary>
/// <param name="Rotation">How its tokens are rotated.</param>
/// <param name="Epsilon">Added to the mean of the squares.</param>
/// <param name="IsCentered">A layer norm; otherwise an RMS norm.</param>
/// <param name="HasSkip">Whether another value is added to X.</param>
/// <param name="HasShift">Whether something is added to the norm.</param>
/// <param name="HasSum">Whether the sum is an output.</param>
/// <param name="Projection">What its codes are multiplied with.</param>
internal sealed record NormNode(
    TokenRotation Rotation, float Epsilon, bool IsCentered, bool HasSkip, bool HasShift, bool HasSum, ProjectionShape Projection)
{
    /// <summary>Reads a node.</summary>
    /// <param name="info">The node.</param>
    /// <param name="factor">A; absent where there is none.</param>
    /// <exception cref="ZqfpException">ZQFP4006: it breaks a rule of the operator.</exception>
    public static NormNode Read(in OrtKernelInfo info, out OrtTensorView factor)
    {
        long centered = info.GetInt64(OperatorNames.Centered, 0);
        float epsilon = info.GetFloat(OperatorNames.Epsilon, 1e-5f);
        if (centered is not (0 or 1))
        {
            throw new ZqfpException("ZQFP4006", $"Attribute centered must be 0 or 1; it is {centered}.");
        }

        if (!(epsilon >= 0))
        {
            throw new ZqfpException("ZQFP4006", $"Attribute epsilon must not be negative; it is {epsilon}.");
        }

        return new NormNode(
            TokenRotation.Read(info), epsilon, centered == 1, OptionalInput.IsGiven(info, NormQuantizeTokensSignature.SkipInput, 0),
            OptionalInput.IsGiven(info, NormQuantizeTokensSignature.ShiftInput, 0), info.HasOutput(NormQuantizeTokensSignature.SumOutput),
            ProjectionShape.Read(
                info, NormQuantizeTokensSignature.FactorInput, NormQuantizeTokensSignature.ProjectionOutput, out factor));
    }
}
