using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>A way to store one weight.</summary>
/// <param name="Change">What is different from the options of the run.</param>
/// <param name="Bytes">Bytes that it takes.</param>
/// <param name="Cost">What it is expected to add to the loss, in nats a token; 0 until it is measured.</param>
internal sealed record BudgetCandidate(LayerOverride Change, long Bytes, double Cost = 0);

/// <summary>A weight that a budget decides about, with the ways to store it.</summary>
/// <param name="Layers">The layers that have it; the first is the one it is quantized for.</param>
/// <param name="Candidates">The ways, by ascending bytes.</param>
internal sealed record BudgetUnit(IReadOnlyList<LinearLayer> Layers, IReadOnlyList<BudgetCandidate> Candidates)
{
    /// <summary>Number of weights.</summary>
    public long Weights => (long)Layers[0].OutFeatures * Layers[0].InFeatures;
}
