namespace Zqfp.Numerics;

/// <summary>What quantizing a layer gives.</summary>
/// <param name="Weights">Codes and scales.</param>
/// <param name="LowRank">The low-rank correction, or null when the rank is 0.</param>
/// <param name="Loss">
/// tr(E H E^T) with E = W - Q - Up Down and the undamped Hessian: twice the mean squared error of the layer's outputs, summed
/// over the outputs. Without a Hessian, ||E||^2.
/// </param>
/// <param name="Warnings">What a user should know.</param>
internal sealed record QuantizedLayer(
    QuantizedMatrix Weights, LowRankFactors? LowRank, double Loss, IReadOnlyList<QuantizationWarning> Warnings);
