using Microsoft.ML.OnnxRuntime;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// Measures what each way to store a weight costs, on calibration windows of the float model. For every candidate the layer is quantized
/// on most of the windows, quickly, and its output's error is taken on the others. What an error means for the model is measured by
/// substitution: the layer alone is rounded to FP4, and the divergence of the model's distribution from the float model's is divided by the
/// error of that.
/// </summary>
/// <remarks>A divergence grows with the error as long as it is small, and those of several layers add up.</remarks>
internal sealed class SensitivityProbe
{
    /// <summary>Windows that errors are measured on; a fifth of them is held out.</summary>
    private const int Windows = 32;

    /// <summary>Substitutions at most: where there are more weights, neighbours are substituted together.</summary>
    private const int Substitutions = 64;

    /// <summary>Tokens, and numbers of logits, that a substitution is measured on at most.</summary>
    private const int ProbeTokens = 1024, ProbeLogits = 1 << 27;

    private readonly QuantizeOptions _options;
    private readonly OnnxFile _file;
    private readonly ModelLayers _model;
    private readonly IReadOnlyList<int[]> _windows;
    private readonly IJobObserver _observer;
    private readonly CancellationToken _cancellation;
    private readonly Workers _workers;
    private readonly Dictionary<string, QuantizationOptions> _recipes;

    /// <summary>Prepares the measurement.</summary>
    public SensitivityProbe(QuantizeOptions options, OnnxFile file, ModelLayers model, IReadOnlyList<int[]> windows, IJobObserver observer,
        CancellationToken cancellation)
    {
        _options = options;
        _file = file;
        _model = model;
        _windows = [.. windows.Take(Windows)];
        _observer = observer;
        _cancellation = cancellation;
        _workers = new Workers(options.Threads == 0 ? Environment.ProcessorCount : options.Threads, cancellation);
        _recipes = model.Chosen.ToDictionary(choice => choice.Layer.Name, choice => choice.Options, StringComparer.Ordinal);
    }

    /// <summary>The same units with the costs of their candidates.</summary>
    public IReadOnlyList<BudgetUnit> Measure(IReadOnlyList<BudgetUnit> units)
    {
        Dictionary<string, LayerErrors> errors = MeasureErrors(units);
        double[] divergences = Divergences(units, errors);
        return
        [
            .. units.Select((unit, i) => unit with
            {
                Candidates = [.. unit.Candidates.Select((candidate, c) => candidate with
                {
                    Cost = candidate.Change.KeepFloat ? 0 : unit.Layers.Average(layer => errors[layer.Name].Relative(c)) * divergences[i],
                })],
            })
        ];
    }

    /// <summary>For each layer the error of each candidate, and the tensors that it is substituted with.</summary>
    private Dictionary<string, LayerErrors> MeasureErrors(IReadOnlyList<BudgetUnit> units)
    {
        Dictionary<string, BudgetUnit> unitOf = units.SelectMany(unit => unit.Layers.Select(layer => (layer.Name, unit)))
            .ToDictionary(entry => entry.Name, entry => entry.unit, StringComparer.Ordinal);
        LinearLayer[] layers = [.. _model.Found.Where(layer => unitOf.ContainsKey(layer.Name)).GroupBy(layer => layer.Input)
            .SelectMany(stage => stage)];
        IReadOnlyList<CalibrationStage> stages = StagePlanner.Plan(_model.Graph, layers, _model.Found, _model.Facts.Logits);
        IReadOnlyList<TokenBatch> batches = SliceRunner.Batches(_windows, _model.Facts.FixedBatch);
        using var runner = new SliceRunner(new ModelRewriter(_file, _model.Graph), batches, new TokenFeeds(_model.Facts), _workers);
        Dictionary<string, LayerErrors> errors = new(StringComparer.Ordinal);
        foreach (CalibrationStage stage in stages)
        {
            using StageValues values = runner.Run(stage, isObserved: true);
            using var moments = new ProbeMoments(stage, values, batches, _options.Activations, _workers);
            foreach (LinearLayer layer in stage.Layers)
            {
                _observer.Report(new JobProgress("Measuring errors", errors.Count, layers.Length, "layers", layer.DisplayName));
                errors.Add(layer.Name, Errors(layer, unitOf[layer.Name], moments));
            }
        }

        _observer.Report(new JobProgress("Measuring errors", layers.Length, layers.Length, "layers"));
        return errors;
    }

    private LayerErrors Errors(LinearLayer layer, BudgetUnit unit, ProbeMoments moments)
    {
        float[] weight = WeightReader.Read(_file, layer);
        double noise = moments.Noise(weight);
        QuantizationOptions recipe = _recipes[layer.Name] with
        {
            RefineSweeps = 0,
            LowRankRefits = 0,
            MaxThreads = _options.Threads,
        };
        QuantizationOptions rounding = QuantizeOptionRules.WithoutCalibration(recipe) with { Rank = 0, Format = NumberFormat.E2M1 };
        QuantizedLayer rounded = LayerQuantizer.Quantize(layer.DisplayName, weight, layer.OutFeatures, layer.InFeatures, null, rounding,
            _cancellation);
        double Error(QuantizedLayer quantized) => noise + LayerQuantizer.Loss(
            weight, quantized.Weights, quantized.LowRank, moments.Held, _options.Threads, _cancellation);
        recipe = moments.Fit is null ? QuantizeOptionRules.WithoutCalibration(recipe) : recipe;
        double[] errors =
        [
            .. unit.Candidates.Select(candidate => candidate.Change.KeepFloat ? 0 : Error(LayerQuantizer.Quantize(
                layer.DisplayName, weight, layer.OutFeatures, layer.InFeatures, moments.Fit, candidate.Change.Apply(recipe),
                _cancellation)))
        ];
        QuantizedLayerTensors tensors = QuantizedLayerResult.Of(
            layer, rounded, null, _options.Activations, rotation: 0, isSimulated: false, _file.Path).Tensors;
        return new LayerErrors(errors, Error(rounded), tensors);
    }

    /// <summary>
    /// The divergence, in nats a token, that rounding each unit's layers to FP4 alone causes; of units that are substituted together each
    /// has its share.
    /// </summary>
    private double[] Divergences(IReadOnlyList<BudgetUnit> units, Dictionary<string, LayerErrors> errors)
    {
        int outputs = _model.Facts.Vocabulary ?? 1;
        int length = _windows[0].Length;
        int count = Math.Clamp(Math.Min(ProbeTokens, ProbeLogits / outputs) / length, 1, _model.Facts.FixedBatch ?? int.MaxValue);
        TokenBatch batch = TokenBatch.Group([.. _windows.TakeLast(count)], most: _model.Facts.FixedBatch)[0];
        using OrtValue expected = Run(batch, []);
        int together = (units.Count + Substitutions - 1) / Substitutions;
        double[] divergences = new double[units.Count];
        for (int first = 0; first < units.Count; first += together)
        {
            _observer.Report(new JobProgress("Measuring sensitivities", first, units.Count, "weights"));
            int last = Math.Min(first + together, units.Count);
            QuantizedLayerTensors[] tensors =
            [
                .. units.Take(first..last).SelectMany(unit => unit.Layers).Select(layer => errors[layer.Name].Tensors)
            ];
            using OrtValue actual = Run(batch, tensors);
            Array.Fill(divergences, Divergence(expected, actual, batch) / (last - first), first, last - first);
        }

        _observer.Report(new JobProgress("Measuring sensitivities", units.Count, units.Count, "weights"));
        return divergences;
    }

    private OrtValue Run(TokenBatch batch, IReadOnlyList<QuantizedLayerTensors> replaced)
    {
        var rewriter = new ModelRewriter(_file, _model.Graph);
        foreach (IGrouping<string, QuantizedLayerTensors> stage in replaced.GroupBy(tensors => tensors.Layer.Input))
        {
            rewriter.Replace([.. stage]);
        }

        using var model = new RewrittenModel(rewriter, _model.Facts, _options.Threads);
        return model.Run(batch, _cancellation);
    }

    private double Divergence(OrtValue expected, OrtValue actual, TokenBatch batch)
    {
        var one = new LogitRows(expected, batch.Predicting, areRows: false);
        var other = new LogitRows(actual, batch.Predicting, areRows: false);
        return one.Differences(other, _options.Threads).Average(difference => difference.Divergence);
    }

    /// <summary>A layer's errors.</summary>
    /// <param name="Candidates">Of each candidate.</param>
    /// <param name="Rounded">Of rounding to FP4.</param>
    /// <param name="Tensors">That, to substitute.</param>
    private sealed record LayerErrors(double[] Candidates, double Rounded, QuantizedLayerTensors Tensors)
    {
        public double Relative(int candidate) => Rounded > 0 ? Candidates[candidate] / Rounded : 0;
    }
}
