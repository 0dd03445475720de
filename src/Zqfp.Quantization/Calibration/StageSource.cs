using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>What one stage's sums are made from.</summary>
/// <param name="Options">The options of the run.</param>
/// <param name="Stage">The stage.</param>
/// <param name="Joins">Where its layers' outputs join the residual stream, by name.</param>
/// <param name="Read">What the layers read, and the stream, as the quantized layers before make it.</param>
/// <param name="Exact">The same of the float model; null where nothing is compared with it.</param>
/// <param name="Workers">Who computes.</param>
internal sealed record StageSource(
    QuantizeOptions Options, CalibrationStage Stage, IReadOnlyDictionary<string, TargetJoin> Joins, StageValues Read, StageValues? Exact,
    Workers Workers)
{
    /// <summary>Whether the biases of all its layers are fitted too, so that their weights need not reproduce means.</summary>
    public bool FitsBiases { get; init; }
}
