namespace Zqfp.Evaluation;

/// <summary>What two models say of one token.</summary>
/// <param name="ReferenceLoss">The negative log-likelihood that the reference gives the token that follows, in nats.</param>
/// <param name="Loss">The model's.</param>
/// <param name="Difference">How far their logits are apart.</param>
internal readonly record struct TokenComparison(double ReferenceLoss, double Loss, LogitDifference Difference)
{
    /// <summary>The probability that the model gives the token that follows, less the reference's.</summary>
    public double DeltaP => Math.Exp(-Loss) - Math.Exp(-ReferenceLoss);
}
