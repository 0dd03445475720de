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
    /// <summary>Experts by whose weights a rotation is chosen for all of them.</summary>
    private const int MostTried = 8;
    private const string QuantizedSide = "quantized";
    private const string FloatSide = "float";

    private readonly TargetPlan _plan;
    private readonly IReadOnlyList<TokenBatch> _batches;
    private readonly SliceRunner _quantized;
    private readonly SliceRunner? _float;
    private readonly Workers _workers;

    /// <summary>Prepares the runs.</summary>
    /// <param name="plan">Stages and targets.</param>
    /// <param name="runner">Makes a runner on the model as it is quantized so far (true) or as it was (false).</param>
    /// <param name="batches">The windows.</param>
    /// <param name="workers">Who computes; cancellation stops between two batches, or within one.</param>
    public StageCalibration(TargetPlan plan, Func<bool, SliceRunner> runner, IReadOnlyList<TokenBatch> batches,
        Workers workers)
    {
        _plan = plan;
        _batches = batches;
        _workers = workers;
        _quantized = runner(true);
        _float = plan.Float is null ? null : runner(false);
    }

    /// <summary>Where other processes run other windows; null where this one runs all.</summary>
    public ShardExchange? Exchange { get; init; }

    /// <summary>Makes a value of all batches.</summary>
    public Func<BatchValues>? Create { get; init; }

    /// <summary>What the next stages read, where nothing is carried beside the one run.</summary>
    public SliceRunner Only => _float is null ? _quantized : throw new InvalidOperationException("There are two runs.");

    /// <summary>Runs the next stage.</summary>
    /// <param name="index">The stage, in order.</param>
    /// <param name="recipes">How each of its layers is quantized.</param>
    /// <param name="weights">Reads the weights [N, K] of layers, one behind the other.</param>
    /// <param name="isMeasured">Whether its layers are still to be quantized.</param>
    /// <param name="knownRotation">The rotation of the stage's input where it is decided already; null to choose it.</param>
    /// <param name="isLeft">Whether other processes are still to quantize layers of it.</param>
    /// <returns>What its layers read, to be disposed before the next stage runs; null where that is not measured.</returns>
    public StageInputs? Run(int index, Func<LinearLayer, QuantizationOptions> recipes,
        Func<IReadOnlyList<LinearLayer>, float[]> weights, bool isMeasured,
        int? knownRotation, bool isLeft = false)
    {
        CalibrationStage stage = _plan.Stages[index];
        StageValues read = _quantized.Run(stage, isMeasured || isLeft);
        StageValues? exact = _float?.Run(_plan.Float![index], isMeasured || isLeft);
        if (Exchange is not null)
        {
            (read, exact) = Share(index, read, exact, isMeasured, isLeft);
        }

        try
        {
            if (isMeasured && stage.Layers.Any(layer => layer.IsExpert))
            {
                return Routed(stage, recipes, weights, read, exact, knownRotation);
            }

            using StageValues reading = read;
            using StageValues? reference = exact;
            if (!isMeasured)
            {
                return null;
            }

            var sums = new StageSums(new StageSource(_plan.OptionsOf(stage), stage, _plan.JoinsOf(stage), read, exact, _workers)
            {
                FitsBiases = _plan.FitsBiases(stage),
            }, _batches);
            return new StageInputs(sums.Take(knownRotation ?? Rotation(stage, recipes, weights, sums)));
        }
        catch
        {
            read.Dispose();
            exact?.Dispose();
            throw;
        }
    }

    /// <summary>Removes what was left for other processes of a stage that is finished.</summary>
    public void RemoveLeft(int index)
    {
        CalibrationStage stage = _plan.Stages[index];
        Exchange!.Remove(stage, QuantizedSide, stage.Observes);
        if (_plan.Float is { } floats)
        {
            Exchange.Remove(stage, FloatSide, floats[index].Observes);
        }
    }

    /// <summary>Leaves what was run here, and takes what was run by all where layers are quantized here.</summary>
    private (StageValues Read, StageValues? Exact) Share(int index, StageValues read, StageValues? exact, bool isMeasured, bool isLeft)
    {
        CalibrationStage stage = _plan.Stages[index];
        if (!isMeasured && !isLeft)
        {
            return (read, exact);
        }

        using (read)
        using (exact)
        {
            Exchange!.Leave(stage, QuantizedSide, read);
            if (exact is not null)
            {
                Exchange.Leave(stage, FloatSide, exact);
            }
        }

        StageValues nothing = new(new Dictionary<string, BatchValues>(), []);
        return !isMeasured
            ? (nothing, null)
            : (Exchange.Gather(stage, index, QuantizedSide, stage.Observes, Create!),
                _plan.Float is null ? null : Exchange.Gather(stage, index, FloatSide, _plan.Float[index].Observes, Create!));
    }

    private StageInputs Routed(CalibrationStage stage, Func<LinearLayer, QuantizationOptions> recipes,
        Func<IReadOnlyList<LinearLayer>, float[]> weights,
        StageValues read, StageValues? exact, int? knownRotation)
    {
        var sums = new RoutedSums(_plan.OptionsOf(stage), stage, _batches, read, exact, _workers);
        int rotation = knownRotation ?? Rotation(stage, recipes, weights, sums);
        return new StageInputs(
            layer =>
            {
                try
                {
                    return sums.Of(layer, rotation);
                }
                catch (ZqfpException e)
                {
                    throw new ZqfpException(e.Code, $"Layer '{layer.DisplayName}': {e.Message}", e.File, e);
                }
            },
            exact is null ? [sums, read] : [sums, read, exact]);
    }

    /// <summary>
    /// Chooses by the weights of all layers that read the value, of experts by those of some; where layers of a later stage read it too,
    /// they will have the same.
    /// </summary>
    /// <remarks>
    /// Exports that write experts one by one, and those whose experts are one constant, come to the same: a router and its experts choose
    /// together, whether they read one value or copies of its rows; and what an expert makes for a layer of its own is always rotated.
    /// </remarks>
    private int Rotation(CalibrationStage stage, Func<LinearLayer, QuantizationOptions> recipes,
        Func<IReadOnlyList<LinearLayer>, float[]> weights, ITokenSample sums)
    {
        QuantizeOptions options = _plan.OptionsOf(stage);
        bool isAutomatic = options.Rotation == QuantizeOptions.AutoRotation;
        if (isAutomatic && _plan.SharesWeights(stage))
        {
            return QuantizeOptions.NoRotation;
        }

        LinearLayer[] all = [.. ReadersLike(stage)];
        if (isAutomatic && options.Activations != ActivationFormat.None && Array.TrueForAll(all, layer => layer.IsInner))
        {
            return RotationChoice.Block(options, all[0].InFeatures);
        }

        string[] routed = [.. all.Where(layer => layer.IsExpert && layer.JoinedTo is null).Select(layer => layer.Name)];
        int step = Math.Max(1, routed.Length / MostTried);
        HashSet<string> some = [.. routed.Where((_, i) => i % step == 0)];
        LinearLayer[] tried =
        [
            .. all.Where(layer => !layer.IsExpert), .. all.Where(layer => layer.IsExpert && some.Contains(layer.Matrix)),
        ];
        return RotationChoice.Of(options, stage with { Layers = tried }, recipes, weights, sums);
    }

    /// <summary>
    /// The layers that read a stage's input and, of a mixture whose experts are one constant, those that read its rows beside them: the
    /// router's stage and the experts'; in the order of stages.
    /// </summary>
    private IEnumerable<LinearLayer> ReadersLike(CalibrationStage stage)
    {
        LinearLayer[] own = [.. _plan.Stages.Where(other => other.Input == stage.Input).SelectMany(other => other.Layers)];
        HashSet<string> routers =
        [
            .. own.Where(layer => layer.IsRouter).Select(layer => layer.Name),
            .. own.Where(HasRowsOfRouter).Select(layer => layer.Router!),
        ];
        if (routers.Count == 0)
        {
            return own;
        }

        HashSet<string> inputs = [stage.Input];
        foreach (CalibrationStage other in _plan.Stages.Where(other => other.Layers[0].InFeatures == own[0].InFeatures))
        {
            if (other.Layers.Any(layer => routers.Contains(layer.Name)
                || (HasRowsOfRouter(layer) && routers.Contains(layer.Router!))))
            {
                inputs.Add(other.Input);
            }
        }

        return _plan.Stages.Where(other => inputs.Contains(other.Input)).SelectMany(other => other.Layers);

        static bool HasRowsOfRouter(LinearLayer layer) => layer is { Expert: not null, IsInner: false, Router: not null };
    }

    public void Dispose()
    {
        _quantized.Dispose();
        _float?.Dispose();
    }
}
