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
    QuantizedMatrix Weights, LowRankFactors? LowRank, double Loss, IReadOnlyList<QuantizationWarning> Warnings)
{
    /// <summary>The layers that were quantized as one: each has its rows, and all the same first low-rank factor.</summary>
    /// <param name="rows">Rows of each, one behind the other.</param>
    /// <param name="weights">W of all, as it was quantized.</param>
    /// <param name="hessian">H, or null.</param>
    /// <param name="maxThreads">Threads used at most; 0 for one a processor.</param>
    /// <param name="cancellation">Stops the work.</param>
    public QuantizedLayer[] Split(
        int[] rows, ReadOnlyMemory<float> weights, Hessian? hessian, int maxThreads, CancellationToken cancellation)
    {
        QuantizedLayer[] parts = new QuantizedLayer[rows.Length];
        for (int i = 0, first = 0; i < rows.Length; first += rows[i++])
        {
            QuantizedMatrix part = Weights.Rowwise(first, rows[i]);
            LowRankFactors? factors = LowRank is { Rank: var rank }
                ? LowRank with { Up = LowRank.Up[(first * rank)..((first + rows[i]) * rank)] }
                : null;
            double loss = LayerQuantizer.Loss(
                weights.Slice(first * part.Columns, rows[i] * part.Columns), part, factors, hessian, maxThreads, cancellation);
            parts[i] = new QuantizedLayer(part, factors, loss, Warnings);
        }

        return parts;
    }
}
