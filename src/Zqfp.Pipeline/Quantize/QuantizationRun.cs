using Zqfp.CudaOps;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Graphs;
using Zqfp.OnnxRewriter.Layers;
using Zqfp.OnnxRewriter.Slicing;
using Zqfp.OnnxRuntime;
using Zqfp.Pipeline.Calibration;
using Zqfp.Pipeline.Diagnostics;

namespace Zqfp.Pipeline.Quantize;

/// <summary>One model on its way from float to quantized.</summary>
internal sealed class QuantizationRun
{
    private readonly QuantizeOptions _options;
    private readonly OnnxFile _file;
    private readonly IJobObserver _observer;
    private readonly CancellationToken _cancellation;
    private readonly GraphIndex _graph;
    private readonly ModelFacts _facts;
    private readonly ModelRewriter _rewriter;
    private readonly PhaseClock _clock = new();
    private readonly List<QuantizedLayerResult> _layers = [];
    private readonly List<Diagnostic> _warnings = [];

    public QuantizationRun(QuantizeOptions options, OnnxFile file, IJobObserver observer, CancellationToken cancellation)
    {
        _options = options;
        _file = file;
        _observer = observer;
        _cancellation = cancellation;
        _graph = new GraphIndex(file.Graph, file.Path);
        _facts = ModelFacts.Of(file);
        _rewriter = new ModelRewriter(file, _graph);
    }

    public QuantizeReport Execute()
    {
        IReadOnlyList<LinearLayer> all = LinearLayerFinder.Find(_graph, _facts.Logits);
        LinearLayer[] chosen = [.. all.Where(layer => !layer.IsTied && (_options.QuantizeHead || !layer.IsHead))];
        if (chosen.Length == 0)
        {
            throw new PipelineException("ZQFP1009", "The model has no linear layer to quantize: no MatMul or Gemm with a constant weight besides the head.", _file.Path);
        }

        IReadOnlyList<CalibrationStage> stages = StagePlanner.Plan(_graph, chosen, all, _facts.Logits);
        TokenWindowSet windows = _clock.Measure("tokenize", LoadWindows);
        LayerKey[] keys = LayerKeys.Of(_options, _file, _graph, stages, windows.Windows);
        var store = new LayerStore(_options.WorkFolder);
        if (keys.All(key => store.Contains(key)))
        {
            foreach (CalibrationStage stage in stages)
            {
                Finish(stage, layer => store.Read(keys[_layers.Count], layer)!);
            }
        }
        else
        {
            Calibrate(stages, windows, keys, store);
        }

        return Save(windows.Windows.Count);
    }

    private TokenWindowSet LoadWindows() =>
        QuantizeOptionRules.NeedsCalibration(_options.Quantization)
            ? TokenWindowSet.Load(_options.CalibrationPath!, _options.TokenizerPath, _options.Window, _options.Windows, _facts)
            : TokenWindowSet.Empty;

    private void Calibrate(IReadOnlyList<CalibrationStage> stages, TokenWindowSet windows, LayerKey[] keys, LayerStore store)
    {
        using var environment = new OrtEnvironment();
        using OrtOperatorDomain operators = ZqfpOperators.CreateDomain(environment);
        using var runner = new SliceRunner(environment, operators, _rewriter, TokenBatch.Group(windows.Windows), new TokenFeeds(environment, _facts), _options.Threads);
        int total = stages.Sum(stage => stage.Layers.Count);
        foreach (CalibrationStage stage in stages)
        {
            using Hessian? hessian = windows.Windows.Count == 0 ? null : _clock.Measure("calibrate", () => runner.Run(stage, _cancellation));
            Finish(stage, layer =>
            {
                _observer.Report(new JobProgress("Quantizing", _layers.Count, total, "layers", layer.Name));
                LayerKey key = keys[_layers.Count];
                return store.Read(key, layer) ?? store.Write(key, _clock.Measure("quantize", () => Quantize(layer, hessian)));
            });
        }

        _observer.Report(new JobProgress("Quantizing", total, total, "layers"));
    }

    /// <summary>Gets each layer of <paramref name="stage"/> quantized and puts it into the model.</summary>
    private void Finish(CalibrationStage stage, Func<LinearLayer, QuantizedLayerResult> quantized)
    {
        int first = _layers.Count;
        foreach (LinearLayer layer in stage.Layers)
        {
            _cancellation.ThrowIfCancellationRequested();
            _layers.Add(quantized(layer));
        }

        QuantizedLayerResult[] made = [.. _layers.Skip(first)];
        _rewriter.Replace([.. made.Select(layer => layer.Tensors)]);
        foreach (Diagnostic warning in made.SelectMany(layer => layer.Warnings))
        {
            _warnings.Add(warning);
            _observer.Warn(warning);
        }
    }

    private QuantizedLayerResult Quantize(LinearLayer layer, Hessian? hessian)
    {
        float[] weight = WeightReader.Read(_file, _graph, layer);
        QuantizationOptions options = _options.Quantization with { MaxThreads = _options.Threads };
        QuantizedLayer quantized = LayerQuantizer.Quantize(layer.Name, weight, layer.OutFeatures, layer.InFeatures, hessian, options, _cancellation);
        return QuantizedLayerResult.Of(layer, quantized, _options.Activations, _file.Path);
    }

    private QuantizeReport Save(int calibrationWindows)
    {
        LayerReport[] layers = [.. _layers.Select(layer => layer.Report)];
        double weights = layers.Sum(layer => (double)layer.Rows * layer.Columns);
        double bits = layers.Sum(layer => layer.BitsPerWeight * layer.Rows * layer.Columns) / weights;
        string recipe = Recipe.Describe(_options);
        _clock.Measure("write", () =>
        {
            _rewriter.Save(_options.OutputPath, _options.Profile, ModelProperties.Make(recipe, layers.Length, bits), _cancellation);
            return true;
        });
        return new QuantizeReport
        {
            Model = _options.ModelPath,
            Output = _options.OutputPath,
            Recipe = recipe,
            Layers = layers,
            BitsPerWeight = bits,
            OriginalBytes = ModelFiles.Bytes(_options.ModelPath),
            QuantizedBytes = ModelFiles.Bytes(_options.OutputPath),
            CalibrationWindows = calibrationWindows,
            Seconds = _clock.Seconds,
            Warnings = _warnings,
        };
    }
}
