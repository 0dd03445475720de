using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// What quantizing by one process and by shards have in common: the layers with what is there of them, running their stages over the
/// calibration windows, and making each.
/// </summary>
internal abstract class LayerRun
{
    private readonly Dictionary<string, LayerChoice> _chosen;
    private CudaLayerDevice? _device;

    /// <summary>Prepares a run.</summary>
    /// <param name="options">What to do.</param>
    /// <param name="file">The model.</param>
    /// <param name="model">Its layers.</param>
    /// <param name="inputs">The files that the run reads, the model's among them.</param>
    /// <param name="observer">Where it reports to.</param>
    /// <param name="cancellation">Ends it.</param>
    protected LayerRun(
        QuantizeOptions options, OnnxFile file, ModelLayers model, InputFiles inputs, IJobObserver observer,
        CancellationToken cancellation)
    {
        Options = options;
        File = file;
        Inputs = inputs;
        Observer = observer;
        Cancellation = cancellation;
        Model = model;
        Coverage = Coverage.Of(file, model);
        Vocabulary = new VocabularyRun(options, file, model.Vocabulary, cancellation);
        _chosen = model.Chosen.ToDictionary(choice => choice.Layer.Name, StringComparer.Ordinal);
        Rewriter = new ModelRewriter(file, model.Graph, options.IsSimulated ? EmissionProfile.Simulated : EmissionProfile.Custom)
        {
            AccuracyLevel = options.AccuracyLevel,
            Fusion = options.Fusion,
        };
    }

    /// <summary>Opens what quantizes layers; null for the processor.</summary>
    public Func<QuantizeOptions, CudaLayerDevice?> OpenDevice { get; init; } = QuantizeDevice.Open;

    /// <summary>What to do.</summary>
    protected QuantizeOptions Options { get; }

    /// <summary>The model.</summary>
    protected OnnxFile File { get; }

    /// <summary>The files that the run reads.</summary>
    protected InputFiles Inputs { get; }

    /// <summary>Where the run reports to.</summary>
    protected IJobObserver Observer { get; }

    /// <summary>Ends the run.</summary>
    protected CancellationToken Cancellation { get; }

    /// <summary>The model's layers.</summary>
    protected ModelLayers Model { get; }

    /// <summary>The model as it is quantized so far.</summary>
    protected ModelRewriter Rewriter { get; }

    /// <summary>The time of each phase.</summary>
    protected PhaseClock Clock { get; } = new();

    /// <summary>The layers by name, in the order their stages run; none before the store of finished ones is open.</summary>
    protected OrderedDictionary<string, LayerWork> Layers { get; } = new(StringComparer.Ordinal);

    /// <summary>Warnings given so far.</summary>
    protected List<Diagnostic> Warnings { get; } = [];

    /// <summary>What of the model is quantized.</summary>
    protected Coverage Coverage { get; }

    /// <summary>Embeddings and head.</summary>
    protected VocabularyRun Vocabulary { get; }

    /// <summary>Opens what quantizes layers from now on; null for the processor.</summary>
    protected CudaLayerDevice? Open() => _device = OpenDevice(Options);

    /// <summary>Opens the store of finished layers and gets those of them that are wanted and there.</summary>
    protected LayerStore OpenStore(IReadOnlyList<CalibrationStage> stages, TokenWindowSet windows, Func<LinearLayer, bool> isWanted)
    {
        var store = new LayerStore(
            Options.WorkFolder ?? NewFile.TemporaryName(Options.OutputPath),
            isTemporary: Options.WorkFolder is null);
        try
        {
            foreach (LayerWork layer in Work(stages, windows))
            {
                layer.Result = layer.IsOwner && isWanted(layer.Layer) ? store.Read(layer.Key, layer.Layer) : null;
                Layers.Add(layer.Layer.Name, layer);
            }

            return store;
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    /// <summary>The layers to quantize, in the order their stages run.</summary>
    protected IReadOnlyList<LinearLayer> Choose()
    {
        foreach (Diagnostic warning in Model.Warnings(Options, Coverage))
        {
            Warn(warning);
        }

        if (Options.DenseFormat is not null && !Model.Chosen.Any(choice => choice.Layer.IsExpert))
        {
            Warn(new Diagnostic("ZQFP2040", DiagnosticSeverity.Warning,
                "The preset hybrid quantizes experts to FP4 and everything else to FP8, and the model has no experts: all its layers "
                + "become FP8. Use --preset default for FP4.", File.Path));
        }

        LinearLayer[] ordered =
            [.. StageOrder.Group(Model.Graph, Model.Chosen.Select(choice => choice.Layer)).SelectMany(stage => stage)];
        return ExpertMates.Mark(
            SharedWeights.Mark(Model.Graph, ordered, (one, other) => OptionsOf(one) == OptionsOf(other)), OptionsOf);
    }

    /// <summary>How a layer is quantized.</summary>
    protected QuantizationOptions OptionsOf(LinearLayer layer) => _chosen[layer.Name].Options;

    /// <summary>The calibration windows; none where no layer needs them.</summary>
    protected TokenWindowSet LoadWindows() =>
        QuantizeOptionRules.NeedsCalibration(Options) || Model.Chosen.Any(choice => QuantizeOptionRules.NeedsCalibration(choice.Options))
            ? TokenWindowSet.Load(
                Options.CalibrationPath!, Options.TokenizerPath, Options.Window, Options.Windows, Model.Facts,
                Options.Reading, Options.WindowSeed, Cancellation)
            : TokenWindowSet.Empty;

    /// <summary>Runs the stages and makes their layers.</summary>
    /// <param name="plan">The stages.</param>
    /// <param name="windows">The calibration windows.</param>
    /// <param name="part">The layers of a shard, from the first of which to the last stages are run; null for all.</param>
    /// <param name="begin">Gives what runs the stages all that it needs for the first one, and says which that is.</param>
    /// <param name="make">Makes the layers of a stage.</param>
    protected void Calibrate(
        TargetPlan plan, TokenWindowSet windows, ShardPart? part, Func<CalibrationMeans, StageCalibration, int> begin,
        Action<CalibrationStage, StageInputs?> make)
    {
        using CudaLayerDevice? device = Open();
        var means = new CalibrationMeans(Options, Model.Facts, BatchesOf(windows), Divide(plan, windows, part), device, Cancellation);
        using var calibration = new StageCalibration(
            plan, isQuantized => means.Runner(CalibratedModel(isQuantized)), means.Batches, means.Workers);
        for (int i = begin(means, calibration); i < plan.Stages.Count && i <= (part?.LastStage ?? i); i++)
        {
            CalibrationStage stage = plan.Stages[i];
            bool isKept = stage.Layers.All(layer => Layers[layer.Name].IsKept || part?.Has(layer) == false);
            using StageInputs? input = Clock.Measure(
                "calibrate",
                () => calibration.Run(
                    i, OptionsOf, layers => WeightReader.Read(File, layers), !isKept, RotationOf(stage.Input)));
            make(stage, input);
        }
    }

    /// <summary>The windows as they are run.</summary>
    protected IReadOnlyList<TokenBatch> BatchesOf(TokenWindowSet windows) =>
        SliceRunner.Batches(windows.Windows, Model.Facts.FixedBatch, Options.Device == ZqfpDevice.Cuda);

    /// <summary>What layers are calibrated on, or the model as it was, which may be the same.</summary>
    protected ModelRewriter CalibratedModel(bool isQuantized) =>
        isQuantized && Options.CalibrateOn == CalibrationSource.Quantized ? Rewriter : FloatModel();

    /// <summary>The model as it was.</summary>
    protected ModelRewriter FloatModel()
    {
        var model = new ModelRewriter(File, Model.Graph);

        // On a GPU ONNX Runtime's own product stays: that of stacks in floating point is the processor's.
        foreach (LinearLayer layer in Model.Choices.Select(choice => choice.Layer)
            .Where(layer => layer.RoutedBy is not null && layer.Expert is null && Options.Device != ZqfpDevice.Cuda))
        {
            model.ComputeAsExpert(layer);
        }

        return model;
    }

    /// <summary>How calibration divides its work within the memory allowed; refused here, before it begins, where it cannot.</summary>
    protected MemoryUse Divide(TargetPlan plan, TokenWindowSet windows, ShardPart? part)
    {
        long tokens = (long)windows.Windows.Count * Options.Window;
        long rows = Model.Vocabulary.Embeddings.Sum(table => (long)table.Rows * table.Columns);
        var use = MemoryUse.Within(Options.Memory, use => rows + MemoryEstimate.Of(
            Model.Graph, plan, Options.LayerTarget != LayerTarget.None, _chosen, tokens, use, part).Peak);
        if (use != MemoryUse.Usual)
        {
            Observer.Note($"Within --memory: values between slices are in files, and {use.TokensAtOnce} tokens are computed at a time.",
                isDetail: true);
        }

        return use;
    }

    /// <summary>The rotation of a value that layers of an earlier stage read too, or null: a value has one.</summary>
    protected int? RotationOf(string input) =>
        Layers.Values.FirstOrDefault(layer => layer.Layer.Input == input && layer.Result is not null)?.Result!.Tensors.Rotation;

    /// <summary>Gets each layer of <paramref name="stage"/>, kept or quantized now.</summary>
    protected QuantizedLayerTensors[] Make(CalibrationStage stage, StageInputs? input, LayerStore store)
    {
        LayerWork[] layers = [.. stage.Layers.Select(layer => Layers[layer.Name])];
        Make(layers, layer => Layers.IndexOf(layer.Layer.Name), Layers.Count, input, store);
        return [.. layers.Select(layer => layer.Result!.Tensors)];
    }

    /// <summary>Gets layers of one stage, kept or quantized now.</summary>
    protected void Make(LayerWork[] layers, Func<LayerWork, int> index, int count, StageInputs? input, LayerStore store)
    {
        foreach (LayerWork layer in layers)
        {
            Cancellation.ThrowIfCancellationRequested();
            Observer.Report(new JobProgress("Quantizing", index(layer), count, "layers", layer.Layer.DisplayName));
            if (!layer.IsOwner)
            {
                layer.Result = Layers[layer.Layer.SharesWeightOf!].Result!.SharedWith(layer.Layer);
                continue;
            }

            if (layer.Result is null)
            {
                // What is quantized as one matrix is of one stage and one shard.
                LayerWork[] mates = [.. layers.Where(other => other.IsOwner && other.Layer.Matrix == layer.Layer.Matrix)];
                bool isLast = !layers.Any(other => !other.IsKept && !mates.Contains(other));
                QuantizedLayerResult[] made = Clock.Measure("quantize", () => input is null
                    ? Quantize(mates, input: null)
                    : input.Use(layer.Layer, read => Quantize(mates, read, isLast)));
                foreach ((LayerWork mate, QuantizedLayerResult result) in mates.Zip(made).Where(pair => pair.First.Result is null))
                {
                    mate.Result = Keep(mate, result, store);
                }
            }

            layer.Result = Vocabulary.Shared(layer.Result!);
        }
    }

    /// <summary>Gives a warning, and keeps it for the report.</summary>
    protected void Warn(Diagnostic warning)
    {
        Warnings.Add(warning);
        Observer.Warn(warning);
    }

    /// <summary>Every layer of the stages with its options and key.</summary>
    private IEnumerable<LayerWork> Work(IReadOnlyList<CalibrationStage> stages, TokenWindowSet windows)
    {
        LayerKey[] keys = Options.WorkFolder is null
            ? LayerKeys.Numbered(stages)
            : LayerKeys.Of(Options, File, stages, OptionsOf, windows.Windows, Inputs, Cancellation);
        return stages.SelectMany(stage => stage.Layers).Zip(keys, (layer, key) => new LayerWork(layer, OptionsOf(layer), key));
    }

    /// <summary>Keeps a layer that was made of the inputs as they were at the beginning, and of nothing else.</summary>
    private QuantizedLayerResult Keep(LayerWork layer, QuantizedLayerResult result, LayerStore store)
    {
        Inputs.RequireUnchanged(Cancellation);
        return store.Write(layer.Key, result);
    }

    /// <summary>
    /// Quantizes a layer, or several as one matrix; after the last of a stage nothing needs the moments of its targets.
    /// </summary>
    private QuantizedLayerResult[] Quantize(LayerWork[] mates, StageInput? input, bool isLast = false)
    {
        LinearLayer first = mates[0].Layer;
        string name = string.Join("' and '", mates.Select(mate => mate.Layer.DisplayName));
        float[] weight = WeightReader.Read(File, mates.Select(mate => mate.Layer));
        int rows = mates.Sum(mate => mate.Layer.OutFeatures);
        QuantizationOptions options = mates[0].Options with { MaxThreads = Options.Threads };
        QuantizeOptions stage = Model.OptionsFor(first.Input, Options);
        int rotation = input?.Rotation ?? RotationChoice.Block(stage, first.InFeatures);
        if (rotation > 0)
        {
            BlockHadamard.Apply(weight, rotation);
        }

        double[]? goal = input?.Targets?.Means?.Target(first.Name, weight);
        options = input is { IsUnseen: true } ? QuantizeOptionRules.WithoutCalibration(options) : options;
        double ridge = input?.Targets?.Move(first.Name, weight, rows, isLast,
            Workers.Of(Options.Threads, Cancellation)) ?? double.PositiveInfinity;
        Hessian? hessian = input?.Targets?.TakeAll(isLast) ?? input?.Hessian;
        QuantizedLayer all = LayerQuantizer.Quantize(name, weight, rows, first.InFeatures, hessian, options, _device, Cancellation);
        QuantizedLayer[] parts = mates.Length == 1
            ? [all]
            : all.Split([.. mates.Select(mate => mate.Layer.OutFeatures)], weight, hessian, Options.Threads, Cancellation);
        QuantizedLayerResult[] results = [.. mates.Zip(parts, (mate, part) => Describe(mate.Layer, part))];
        if (goal is not null)
        {
            float[] bias = WeightReader.ReadBias(File, Model.Graph, first);
            results[0] = results[0] with
            {
                Tensors = results[0].Tensors with { Bias = input!.Targets!.Means!.Fit(bias, goal, all) },
            };
        }

        return results;

        QuantizedLayerResult Describe(LinearLayer layer, QuantizedLayer quantized)
        {
            var result = QuantizedLayerResult.Of(
                layer, quantized, input?.Range, stage.Activations, rotation, Options.IsSimulated, File.Path);
            return result with
            {
                Ridge = double.IsFinite(ridge) ? ridge : null,
                Tokens = input?.Tokens,
                Warnings = [.. input is { IsUnseen: true } ? [LayerDiagnostics.Unseen(layer, File.Path)] : (Diagnostic[])[],
                    .. result.Warnings],
            };
        }
    }
}
