using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// Runs the stages of a model over the calibration windows, float and quantized side by side where targets ask for it, and sums up what the
/// layers read.
/// </summary>
/// <remarks>Memory: the weights of one slice of each, the boundary values of all windows of each, and the moments of one stage.</remarks>
internal sealed class StageCalibration : IDisposable
{
    private readonly QuantizeOptions _options;
    private readonly TargetPlan _plan;
    private readonly IReadOnlyList<TokenBatch> _batches;
    private readonly SliceRunner _quantized;
    private readonly SliceRunner? _float;
    private readonly Workers _workers;

    /// <summary>Prepares the runs.</summary>
    /// <param name="options">The options of the run.</param>
    /// <param name="plan">Stages and targets.</param>
    /// <param name="runner">Makes a runner on the model as it is quantized so far (true) or as it was (false).</param>
    /// <param name="batches">The windows.</param>
    /// <param name="workers">Who computes; cancellation stops between two batches, or within one.</param>
    public StageCalibration(QuantizeOptions options, TargetPlan plan, Func<bool, SliceRunner> runner, IReadOnlyList<TokenBatch> batches,
        Workers workers)
    {
        _options = options;
        _plan = plan;
        _batches = batches;
        _workers = workers;
        _quantized = runner(true);
        _float = plan.Float is null ? null : runner(false);
    }

    /// <summary>Runs the next stage.</summary>
    /// <param name="index">The stage, in order.</param>
    /// <param name="recipes">How each of its layers is quantized.</param>
    /// <param name="weights">Reads a layer's weight [N, K].</param>
    /// <param name="isMeasured">Whether its layers are still to be quantized.</param>
    /// <returns>What its layers read, or null where that is not measured.</returns>
    public StageInput? Run(int index, Func<LinearLayer, QuantizationOptions> recipes, Func<LinearLayer, float[]> weights, bool isMeasured)
    {
        CalibrationStage stage = _plan.Stages[index];
        using StageValues read = _quantized.Run(stage, isMeasured);
        using StageValues? exact = _float?.Run(_plan.Float![index], isMeasured);
        if (!isMeasured)
        {
            return null;
        }

        var sums = new StageSums(new StageSource(_options, stage, _plan.JoinsOf(stage), read, exact, _workers), _batches);
        int rotation = _options.Rotation == QuantizeOptions.AutoRotation && _plan.SharesWeights(stage)
            ? QuantizeOptions.NoRotation
            : RotationChoice.Of(_options, stage, recipes, weights, sums);
        return sums.Take(rotation);
    }

    public void Dispose()
    {
        _quantized.Dispose();
        _float?.Dispose();
    }
}
