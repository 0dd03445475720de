using Zqfp.CudaOps;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Emission;
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
        _facts = ModelFacts.Of(file, _graph);
        _rewriter = new ModelRewriter(file, _graph, IsSimulated ? EmissionProfile.Simulated : EmissionProfile.Custom);
    }

    private bool IsSimulated => _options.Profile == EmissionProfile.Simulated;

    public QuantizeReport Execute()
    {
        _rewriter.Require(_options.Profile);
        RequireSeparateOutput();
        IReadOnlyList<LinearLayer> all = LinearLayerFinder.Find(_graph, _facts.Logits);
        LinearLayer[] chosen = [.. LayerChooser.Choose(all, _options).Where(choice => choice.FloatBecause is null).Select(choice => choice.Layer)];
        if (chosen.Length == 0)
        {
            throw new PipelineException("ZQFP1009", "The model has no linear layer to quantize: no MatMul or Gemm with a constant weight besides the head.", _file.Path);
        }

        IReadOnlyList<CalibrationStage> stages = StagePlanner.Plan(_graph, chosen, all, _facts.Logits);
        TokenWindowSet windows = _clock.Measure("tokenize", LoadWindows);
        LayerKey[] keys = LayerKeys.Of(_options, _file, stages, windows.Windows);
        var store = new LayerStore(_options.WorkFolder);
        QuantizedLayerResult?[] kept = [.. stages.SelectMany(stage => stage.Layers).Zip(keys, (layer, key) => store.Read(key, layer))];
        if (windows.Windows.Count == 0 || kept.All(layer => layer is not null))
        {
            stages.ToList().ForEach(stage => Finish(stage, kept, hessian: null, keys, store));
        }
        else
        {
            Calibrate(stages, windows, kept, keys, store);
        }

        _observer.Report(new JobProgress("Quantizing", keys.Length, keys.Length, "layers"));
        return Save(windows.Windows.Count);
    }

    /// <summary>Weights are read until the output is written, so the output must be none of the model's files.</summary>
    private void RequireSeparateOutput()
    {
        string output = Path.GetFullPath(_options.OutputPath);
        if (_file.ExternalFiles().Any(file => file == output || file == output + ".data"))
        {
            throw new PipelineException("ZQFP0003", "The output would overwrite the model's weights. Choose another --output.", _options.OutputPath);
        }
    }

    private TokenWindowSet LoadWindows() =>
        QuantizeOptionRules.NeedsCalibration(_options.Quantization)
            ? TokenWindowSet.Load(_options.CalibrationPath!, _options.TokenizerPath, _options.Window, _options.Windows, _facts)
            : TokenWindowSet.Empty;

    private void Calibrate(IReadOnlyList<CalibrationStage> stages, TokenWindowSet windows, QuantizedLayerResult?[] kept, LayerKey[] keys, LayerStore store)
    {
        using var environment = new OrtEnvironment();
        using OrtOperatorDomain operators = ZqfpOperators.CreateDomain(environment);
        using var runner = new SliceRunner(environment, operators, _rewriter, TokenBatch.Group(windows.Windows), new TokenFeeds(environment, _facts), _options.Threads);
        foreach (CalibrationStage stage in stages)
        {
            bool isKept = kept.AsSpan(_layers.Count, stage.Layers.Count).IndexOf((QuantizedLayerResult?)null) < 0;
            using Hessian? hessian = _clock.Measure("calibrate", () => runner.Run(stage, wantHessian: !isKept, _cancellation));
            Finish(stage, kept, hessian, keys, store);
        }
    }

    /// <summary>Gets each layer of <paramref name="stage"/>, kept or quantized now, and puts it into the model.</summary>
    private void Finish(CalibrationStage stage, QuantizedLayerResult?[] kept, Hessian? hessian, LayerKey[] keys, LayerStore store)
    {
        int first = _layers.Count;
        foreach (LinearLayer layer in stage.Layers)
        {
            _cancellation.ThrowIfCancellationRequested();
            int index = _layers.Count;
            _observer.Report(new JobProgress("Quantizing", index, keys.Length, "layers", layer.Name));
            _layers.Add(kept[index] ?? store.Write(keys[index], _clock.Measure("quantize", () => Quantize(layer, hessian))));
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
        return QuantizedLayerResult.Of(layer, quantized, isCalibrated: hessian is not null, _options.Activations, IsSimulated, _file.Path);
    }

    private QuantizeReport Save(int calibrationWindows)
    {
        LayerReport[] layers = [.. _layers.Select(layer => layer.Report)];
        double weights = layers.Sum(layer => (double)layer.Rows * layer.Columns);
        double bits = layers.Sum(layer => layer.BitsPerWeight * layer.Rows * layer.Columns) / weights;
        string recipe = Recipe.Describe(_options);
        _clock.Measure("write", () =>
        {
            _rewriter.Save(_options.OutputPath, _options.Profile, ModelProperties.Make(recipe, layers.Length, bits, IsSimulated), _cancellation);
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
