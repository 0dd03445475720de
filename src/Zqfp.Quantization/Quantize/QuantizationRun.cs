using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>One model on its way from float to quantized.</summary>
internal sealed class QuantizationRun
{
    private readonly QuantizeOptions _options;
    private readonly OnnxFile _file;
    private readonly InputFiles _inputs;
    private readonly IJobObserver _observer;
    private readonly CancellationToken _cancellation;
    private readonly ModelLayers _model;
    private readonly ModelRewriter _rewriter;
    private readonly PhaseClock _clock = new();
    private readonly OrderedDictionary<string, LayerWork> _layers = new(StringComparer.Ordinal);
    private readonly List<IReadOnlyList<QuantizedLayerTensors>> _deferred = [];
    private readonly List<Diagnostic> _warnings = [];
    private readonly Coverage _coverage;
    private readonly VocabularyRun _vocabulary;
    private readonly Dictionary<string, LayerChoice> _chosen;
    private CudaLayerDevice? _device;

    /// <summary>Prepares a run.</summary>
    /// <param name="options">What to do.</param>
    /// <param name="file">The model.</param>
    /// <param name="model">Its layers.</param>
    /// <param name="inputs">The files that the run reads, the model's among them.</param>
    /// <param name="observer">Where it reports to.</param>
    /// <param name="cancellation">Ends it.</param>
    public QuantizationRun(
        QuantizeOptions options, OnnxFile file, ModelLayers model, InputFiles inputs, IJobObserver observer,
        CancellationToken cancellation)
    {
        _options = options;
        _file = file;
        _inputs = inputs;
        _observer = observer;
        _cancellation = cancellation;
        _model = model;
        _coverage = Coverage.Of(file, _model);
        _vocabulary = new VocabularyRun(options, file, _model.Vocabulary, cancellation);
        _chosen = _model.Chosen.ToDictionary(choice => choice.Layer.Name, StringComparer.Ordinal);
        _rewriter = new ModelRewriter(file, _model.Graph, _options.IsSimulated ? EmissionProfile.Simulated : EmissionProfile.Custom)
        {
            AccuracyLevel = options.AccuracyLevel,
            Fusion = options.Fusion,
        };
    }

    /// <summary>Opens what quantizes layers; null for the processor.</summary>
    public Func<QuantizeOptions, CudaLayerDevice?> OpenDevice { get; init; } = QuantizeDevice.Open;

    /// <summary>Quantizes the model and writes it.</summary>
    public QuantizeReport Execute() => Execute(_ => true, _ => true, null)!;

    /// <summary>Quantizes the model, and writes it where that is wanted.</summary>
    /// <param name="accepts">Is given the model with all layers replaced; false to write nothing.</param>
    /// <param name="fits">Is given the bytes of the files; false to write nothing.</param>
    /// <param name="windows">The calibration windows; null for those that the options name.</param>
    /// <returns>Null where nothing was written.</returns>
    public QuantizeReport? Execute(Func<ModelRewriter, bool> accepts, Func<long, bool> fits, TokenWindowSet? windows)
    {
        foreach ((EmissionProfile profile, _) in ProfileFiles.Of(_options))
        {
            _rewriter.Require(profile);
        }

        RequireSeparateOutput();
        var plan = new TargetPlan(_options, _file, _model, Choose());
        QuantizedEmbedding[] embeddings = _clock.Measure("quantize", () => _vocabulary.Embeddings().ToArray());
        if (_options.CalibrateOn == CalibrationSource.Quantized)
        {
            Array.ForEach(embeddings, _rewriter.Replace);
        }

        IReadOnlyList<CalibrationStage> stages = plan.Stages;
        windows ??= _clock.Measure("tokenize", LoadWindows);
        using LayerStore store = OpenStore(stages, windows, _ => true);
        TellWhatIsKept(store);
        if (_options.MergesOnly)
        {
            ShardMerge.Require(_options, _model, stages, windows, _layers.Values);
        }

        if (windows.Windows.Count == 0 || _layers.Values.All(layer => layer.IsKept))
        {
            stages.ToList().ForEach(stage => Finish(stage, input: null, store));
        }
        else
        {
            Calibrate(plan, windows, store, null);
        }

        _deferred.ForEach(_rewriter.Replace);
        if (_options.CalibrateOn != CalibrationSource.Quantized)
        {
            Array.ForEach(embeddings, _rewriter.Replace);
        }

        LayerDiagnostics.Merge(Results, _file.Path).ToList().ForEach(Warn);
        if (_options.Bias == LayerBias.Fitted && Results.All(layer => layer.Tensors.Bias is null))
        {
            _observer.Note("No bias was fitted: no input is read by layers that all have one, or there is a single calibration window.",
                isDetail: false);
        }

        _observer.Report(new JobProgress("Quantizing", _layers.Count, _layers.Count, "layers"));
        if (!accepts(_rewriter))
        {
            return null;
        }

        QuantizeReport? report = Save(windows.Windows.Count, fits);
        if (report is not null)
        {
            store.Prune(report.QuantizedBytes);
            if (_options.WorkFolder is { } work)
            {
                BoundaryStore.Clear(work);
            }
        }

        return report;
    }

    /// <summary>Quantizes the layers of one shard and keeps them in the work folder; no model is written.</summary>
    /// <exception cref="ZqfpException">ZQFP0040: a layer depends on layers of other shards.</exception>
    /// <param name="shard">Which one.</param>
    /// <param name="locks">Its locks in the work folder.</param>
    public ShardReport ExecuteShard(Shard shard, ShardLocks locks)
    {
        var plan = new TargetPlan(_options, _file, _model, Choose());
        TokenWindowSet windows = _clock.Measure("tokenize", LoadWindows);
        if (windows.Windows.Count > 0 && _options.CalibrateOn == CalibrationSource.Quantized)
        {
            return ExecuteTogether(shard, locks, plan, windows);
        }

        IReadOnlyList<ShardPart> parts = ShardPlan.Of(
            _model.Graph, plan.Stages, (long)windows.Windows.Count * _options.Window, shard.Count);
        ShardPart part = parts[shard.Index];
        using LayerStore store = OpenStore(plan.Stages, windows, part.Has);
        LayerWork[] own = [.. _layers.Values.Where(layer => part.Has(layer.Layer))];
        int kept = own.Count(layer => layer.IsKept);
        _observer.Note($"Shard {shard}: {own.Length} of {_layers.Values.Count(layer => layer.IsOwner)} layers"
            + (kept > 0 ? $", {kept} of which are kept in '{_options.WorkFolder}' from an earlier run." : "."));
        if (kept < own.Length && windows.Windows.Count > 0)
        {
            Calibrate(plan, windows, store, (shard, parts, locks));
        }
        else
        {
            plan.Stages.ToList().ForEach(stage => Make(stage, part, input: null, store));
        }

        return Report(shard, [.. own.Select(layer => layer.Layer.Name)], kept, windows, store);
    }

    private ShardReport Report(Shard shard, List<string> layers, int kept, TokenWindowSet windows, LayerStore store)
    {
        store.RemoveLeftovers();
        BoundaryStore.RemoveLeftovers(_options.WorkFolder!, isLocked: false);
        _observer.Report(new JobProgress("Quantizing", layers.Count, layers.Count, "layers"));
        return new ShardReport
        {
            Model = _options.ModelPath,
            Shard = shard.ToString(),
            WorkFolder = _options.WorkFolder!,
            Recipe = Recipe.Describe(_options),
            Layers = layers,
            Kept = kept,
            CalibrationWindows = windows.Windows.Count,
            Seconds = _clock.Seconds,
            Warnings = _warnings,
        };
    }

    /// <summary>Where a layer depends on those before it, shards go from stage to stage together.</summary>
    private ShardReport ExecuteTogether(Shard shard, ShardLocks locks, TargetPlan plan, TokenWindowSet windows)
    {
        using CudaLayerDevice? device = OpenDevice(_options);
        _device = device;
        _vocabulary.Embeddings().ToList().ForEach(_rewriter.Replace);
        using LayerStore store = OpenStore(plan.Stages, windows, _ => true);
        IReadOnlyList<TokenBatch> batches = BatchesOf(windows);
        locks.Announce(
            ShardNotice.Of(_options, _layers.Values.Select(layer => layer.Key), _file, windows, _inputs, _cancellation), _observer,
            _cancellation);
        var exchange = new ShardExchange(shard, batches.Count, _options.WorkFolder!, layer => _layers[layer.Name].Key, locks,
            _options.Patience, _observer, _cancellation);
        List<string> own = [];
        int kept = 0;
        if (exchange.Own.Count == 0)
        {
            return Report(shard, own, kept, windows, store);
        }

        var means = new CalibrationMeans(_options, _model.Facts, batches, Divide(plan, windows, null), _device, _cancellation);
        using var calibration = new StageCalibration(
            plan, isQuantized => means.Runner(isQuantized ? _rewriter : FloatModel(), exchange.Own), batches, means.Workers)
        {
            Exchange = exchange,
            Create = () => new BatchValues(batches.Count, means.Scratch),
        };
        for (int i = 0; i < plan.Stages.Count; i++)
        {
            CalibrationStage stage = plan.Stages[i];
            bool isFinished = stage.Layers.All(layer => IsThere(layer, store));
            LayerWork[] mine = [.. stage.Layers.Where(layer => exchange.Quantizes(stage, i, layer)).Select(layer => _layers[layer.Name])];
            own.AddRange(mine.Select(layer => layer.Layer.Name));
            kept += mine.Count(layer => layer.IsKept);
            int index = i;
            locks.Reach(index);
            using (StageInputs? input = _clock.Measure("calibrate", () => calibration.Run(
                index, OptionsOf, layer => WeightReader.Read(_file, layer), mine.Any(layer => !layer.IsKept), RotationOf(stage.Input),
                isLeft: !isFinished)))
            {
                Make(mine, layer => _layers.IndexOf(layer.Layer.Name), _layers.Count, input, store);
            }

            _clock.Measure("wait", () =>
            {
                exchange.Finish(stage, index, layer => IsThere(layer, store));
                return true;
            });
            calibration.RemoveLeft(i);
            Finish(stage, input: null, store);
        }

        return Report(shard, own, kept, windows, store);
    }

    /// <summary>Whether a layer is made, by this process or by now by another.</summary>
    private bool IsThere(LinearLayer layer, LayerStore store)
    {
        LayerWork work = _layers[layer.Name];
        work.Result ??= work.IsOwner ? store.Read(work.Key, layer) : null;
        return work.IsKept;
    }

    /// <summary>Opens the store of finished layers and gets those of them that are wanted and there.</summary>
    private LayerStore OpenStore(IReadOnlyList<CalibrationStage> stages, TokenWindowSet windows, Func<LinearLayer, bool> isWanted)
    {
        var store = new LayerStore(
            _options.WorkFolder ?? NewFile.TemporaryName(_options.OutputPath),
            isTemporary: _options.WorkFolder is null);
        try
        {
            foreach (LayerWork layer in Work(stages, windows))
            {
                layer.Result = layer.IsOwner && isWanted(layer.Layer) ? store.Read(layer.Key, layer.Layer) : null;
                _layers.Add(layer.Layer.Name, layer);
            }

            return store;
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    /// <summary>From where an interrupted run continues, and what of it cannot be used.</summary>
    private void TellWhatIsKept(LayerStore store)
    {
        LayerWork[] owners = [.. _layers.Values.Where(layer => layer.IsOwner)];
        int kept = owners.Count(layer => layer.IsKept);
        if (store.Unfit > 0)
        {
            _observer.Note($"{store.Unfit} kept layers in '{_options.WorkFolder}' are damaged or of another version: they are made again.",
                isDetail: true);
        }

        if (kept > 0)
        {
            string next = owners.FirstOrDefault(layer => !layer.IsKept) is { } first
                ? $"Continuing with '{first.Layer.DisplayName}'."
                : "Only the model is written again.";
            _observer.Note($"{kept} of {owners.Length} layers are kept in '{_options.WorkFolder}' from an earlier run. {next}");
        }
    }

    private IReadOnlyList<QuantizedLayerResult> Results => [.. _layers.Values.Select(layer => layer.Result!)];

    /// <summary>The layers to quantize, in the order their stages run.</summary>
    private IReadOnlyList<LinearLayer> Choose()
    {
        foreach (Diagnostic warning in _model.Warnings(_options, _coverage))
        {
            Warn(warning);
        }

        if (_options.DenseFormat is not null && !_model.Chosen.Any(choice => choice.Layer.IsExpert))
        {
            Warn(new Diagnostic("ZQFP2040", DiagnosticSeverity.Warning,
                "The preset hybrid quantizes experts to FP4 and everything else to FP8, and the model has no experts: all its layers "
                + "become FP8. Use --preset default for FP4.", _file.Path));
        }

        LinearLayer[] ordered =
            [.. StageOrder.Group(_model.Graph, _model.Chosen.Select(choice => choice.Layer)).SelectMany(stage => stage)];
        return SharedWeights.Mark(_model.Graph, ordered, (one, other) => OptionsOf(one) == OptionsOf(other));
    }

    private QuantizationOptions OptionsOf(LinearLayer layer) => _chosen[layer.Name].Options;

    /// <summary>Every layer of the stages with its options and key.</summary>
    private IEnumerable<LayerWork> Work(IReadOnlyList<CalibrationStage> stages, TokenWindowSet windows)
    {
        LayerKey[] keys = _options.WorkFolder is null
            ? LayerKeys.Numbered(stages)
            : LayerKeys.Of(_options, _file, stages, OptionsOf, windows.Windows, _inputs, _cancellation);
        return stages.SelectMany(stage => stage.Layers).Zip(keys, (layer, key) => new LayerWork(layer, OptionsOf(layer), key));
    }

    /// <summary>Weights are read until the outputs are written, so these must be none of the model's files.</summary>
    private void RequireSeparateOutput()
    {
        foreach (string path in ProfileFiles.Of(_options).Select(file => file.Path))
        {
            if (_file.ExternalFiles().Any(file => RealPath.AreSame(file, path) || RealPath.AreSame(file, path + ".data")))
            {
                throw new ZqfpException("ZQFP0003", "The output would overwrite the model's weights. Choose another --output.", path);
            }
        }
    }

    private TokenWindowSet LoadWindows() =>
        QuantizeOptionRules.NeedsCalibration(_options) || _model.Chosen.Any(choice => QuantizeOptionRules.NeedsCalibration(choice.Options))
            ? TokenWindowSet.Load(
                _options.CalibrationPath!, _options.TokenizerPath, _options.Window, _options.Windows, _model.Facts,
                _options.Reading, _options.WindowSeed, _cancellation)
            : TokenWindowSet.Empty;

    /// <summary>Runs the stages and makes their layers; for a shard those from its first layer to its last.</summary>
    private void Calibrate(
        TargetPlan plan, TokenWindowSet windows, LayerStore store, (Shard Own, IReadOnlyList<ShardPart> Parts, ShardLocks Locks)? shards)
    {
        using CudaLayerDevice? device = OpenDevice(_options);
        _device = device;
        ShardPart? part = shards is var (own, parts, _) ? parts[own.Index] : null;
        var means = new CalibrationMeans(
            _options, _model.Facts, BatchesOf(windows), Divide(plan, windows, part), _device, _cancellation);
        using var calibration = new StageCalibration(
            plan, isQuantized => means.Runner(isQuantized ? _rewriter : FloatModel()), means.Batches, means.Workers);
        int first = 0;
        if (shards is var (shard, all, locks))
        {
            var boundaries = new BoundaryStore(
                _options.WorkFolder!, LayerKeys.OfFloat(_options, _file, windows.Windows, _inputs, _cancellation));
            var forward = new ShardForward(
                plan.Stages, all, shard, means.Batches.Count, boundaries, some => means.Runner(FloatModel(), some), _cancellation);
            first = _clock.Measure("calibrate", () =>
            {
                forward.LeaveOwn();
                locks.EndForward();
                return forward.Continue(calibration.Only, locks.IsUnderWay);
            });
        }

        for (int i = first; i < plan.Stages.Count && i <= (part?.LastStage ?? i); i++)
        {
            CalibrationStage stage = plan.Stages[i];
            bool isKept = stage.Layers.All(layer => _layers[layer.Name].IsKept || part?.Has(layer) == false);
            using StageInputs? input = _clock.Measure(
                "calibrate",
                () => calibration.Run(
                    i, OptionsOf, layer => WeightReader.Read(_file, layer), !isKept, RotationOf(stage.Input)));
            if (part is null)
            {
                Finish(stage, input, store);
            }
            else
            {
                Make(stage, part, input, store);
            }
        }
    }

    private IReadOnlyList<TokenBatch> BatchesOf(TokenWindowSet windows) =>
        SliceRunner.Batches(windows.Windows, _model.Facts.FixedBatch, _options.Device == ZqfpDevice.Cuda);

    private ModelRewriter FloatModel() => new(_file, _model.Graph);

    /// <summary>How calibration divides its work within the memory allowed; refused here, before it begins, where it cannot.</summary>
    private MemoryUse Divide(TargetPlan plan, TokenWindowSet windows, ShardPart? part)
    {
        long tokens = (long)windows.Windows.Count * _options.Window;
        long rows = _model.Vocabulary.Embeddings.Sum(table => (long)table.Rows * table.Columns);
        var use = MemoryUse.Within(_options.Memory, use => rows + MemoryEstimate.Of(
            _model.Graph, plan, _options.LayerTarget != LayerTarget.None, _chosen, tokens, use, part).Peak);
        if (use != MemoryUse.Usual)
        {
            _observer.Note($"Within --memory: values between slices are in files, and {use.TokensAtOnce} tokens are computed at a time.",
                isDetail: true);
        }

        return use;
    }

    /// <summary>The rotation of a value that layers of an earlier stage read too, or null: a value has one.</summary>
    private int? RotationOf(string input) =>
        _layers.Values.FirstOrDefault(layer => layer.Layer.Input == input && layer.Result is not null)?.Result!.Tensors.Rotation;

    /// <summary>Gets each layer of <paramref name="stage"/>, kept or quantized now, and puts it into the model.</summary>
    private void Finish(CalibrationStage stage, StageInputs? input, LayerStore store)
    {
        LayerWork[] layers = [.. stage.Layers.Select(layer => _layers[layer.Name])];
        Make(layers, layer => _layers.IndexOf(layer.Layer.Name), _layers.Count, input, store);
        QuantizedLayerTensors[] replacements = [.. layers.Select(layer => layer.Result!.Tensors)];
        if (_options.CalibrateOn == CalibrationSource.Quantized)
        {
            _rewriter.Replace(replacements);
        }
        else
        {
            _deferred.Add(replacements);
        }
    }

    /// <summary>Gets each of the layers that a shard has of <paramref name="stage"/>.</summary>
    private void Make(CalibrationStage stage, ShardPart part, StageInputs? input, LayerStore store)
    {
        List<string> names = [.. part.Layers.Select(own => own.Name)];
        LayerWork[] own = [.. stage.Layers.Where(part.Has).Select(layer => _layers[layer.Name])];
        Make(own, layer => names.IndexOf(layer.Layer.Name), names.Count, input, store);
    }

    /// <summary>Gets layers of one stage, kept or quantized now.</summary>
    private void Make(LayerWork[] layers, Func<LayerWork, int> index, int count, StageInputs? input, LayerStore store)
    {
        LayerWork? last = layers.LastOrDefault(layer => !layer.IsKept);
        foreach (LayerWork layer in layers)
        {
            _cancellation.ThrowIfCancellationRequested();
            _observer.Report(new JobProgress("Quantizing", index(layer), count, "layers", layer.Layer.DisplayName));
            layer.Result = layer.IsOwner
                ? _vocabulary.Shared(layer.Result ?? Keep(layer, _clock.Measure("quantize", () => input is null
                    ? Quantize(layer, input: null)
                    : input.Use(layer.Layer, read => Quantize(layer, read, isLast: layer == last))), store))
                : _layers[layer.Layer.SharesWeightOf!].Result!.SharedWith(layer.Layer);
        }
    }

    /// <summary>Keeps a layer that was made of the inputs as they were at the beginning, and of nothing else.</summary>
    private QuantizedLayerResult Keep(LayerWork layer, QuantizedLayerResult result, LayerStore store)
    {
        _inputs.RequireUnchanged(_cancellation);
        return store.Write(layer.Key, result);
    }

    private void Warn(Diagnostic warning)
    {
        _warnings.Add(warning);
        _observer.Warn(warning);
    }

    /// <summary>Quantizes a layer; after the last of a stage nothing needs the moments of its targets.</summary>
    private QuantizedLayerResult Quantize(LayerWork work, StageInput? input, bool isLast = false)
    {
        LinearLayer layer = work.Layer;
        float[] weight = WeightReader.Read(_file, layer);
        QuantizationOptions options = work.Options with { MaxThreads = _options.Threads };
        QuantizeOptions stage = _model.OptionsFor(layer.Input, _options);
        int rotation = input?.Rotation ?? RotationChoice.Block(stage, layer.InFeatures);
        if (rotation > 0)
        {
            BlockHadamard.Apply(weight, rotation);
        }

        double[]? goal = input?.Targets?.Means?.Target(layer.Name, weight);
        options = input is { IsUnseen: true } ? QuantizeOptionRules.WithoutCalibration(options) : options;
        double ridge = input?.Targets?.Move(layer.Name, weight, layer.OutFeatures, isLast,
            Workers.Of(_options.Threads, _cancellation)) ?? double.PositiveInfinity;
        Hessian? hessian = input?.Targets?.TakeAll(isLast) ?? input?.Hessian;
        QuantizedLayer quantized = LayerQuantizer.Quantize(layer.DisplayName, weight, layer.OutFeatures, layer.InFeatures,
            hessian, options, _device, _cancellation);
        QuantizedLayerResult result = QuantizedLayerResult.Of(layer, quantized, input?.Range, stage.Activations,
            rotation, _options.IsSimulated, _file.Path)
            with
        { Ridge = double.IsFinite(ridge) ? ridge : null, Tokens = input?.Tokens };
        if (goal is not null)
        {
            float[] bias = WeightReader.ReadBias(_file, _model.Graph, layer);
            result = result with { Tensors = result.Tensors with { Bias = input!.Targets!.Means!.Fit(bias, goal, quantized) } };
        }

        return input is { IsUnseen: true }
            ? result with { Warnings = [LayerDiagnostics.Unseen(layer, _file.Path), .. result.Warnings] }
            : result;
    }

    private QuantizeReport? Save(int calibrationWindows, Func<long, bool> fits)
    {
        EmissionProfile first = _options.Profiles[0];
        _inputs.RequireUnchanged(_cancellation);
        long originalBytes = ModelFiles.Bytes(_file);
        LayerReport[] layers = [.. Results.Select(layer => layer.Report(first) with { FloatBytes = FloatBytes(layer.Tensors.Layer) })];
        EmbeddingReport[] embeddings = [.. _model.Vocabulary.Embeddings.Select(Describe)];
        long? quantizedBytes = _clock.Measure("write", () => Write(fits));
        return quantizedBytes is null ? null : new QuantizeReport
        {
            Model = _options.ModelPath,
            Output = _options.OutputPath,
            Outputs = [.. ProfileFiles.Of(_options).Select(file => file.Path)],
            Recipe = Recipe.Describe(_options),
            Options = OptionList.Of(_options),
            Layers = layers,
            Embeddings = embeddings,
            Coverage = _coverage,
            BitsPerWeight = BitsPerWeight(first),
            OriginalBytes = originalBytes,
            QuantizedBytes = quantizedBytes.Value,
            CalibrationWindows = calibrationWindows,
            Seconds = _clock.Seconds,
            Warnings = _warnings,
        };
    }

    /// <summary>
    /// Writes a model for each profile; they appear together, once all are whole and the inputs are confirmed by their content. What comes
    /// behind this reads none of the files again.
    /// </summary>
    /// <param name="fits">Whether files of so many bytes are wanted.</param>
    /// <returns>Bytes of the first profile's files; null where they are not wanted, and do not appear.</returns>
    private long? Write(Func<long, bool> fits)
    {
        List<ModelWriter> written = [];
        try
        {
            foreach ((EmissionProfile profile, string path) in ProfileFiles.Of(_options))
            {
                IEnumerable<KeyValuePair<string, string>> properties = ModelProperties.Make(
                    Recipe.Describe(_options, profile), profile, _layers.Count, BitsPerWeight(profile));
                written.Add(_rewriter.Write(path, profile, properties, ModelProperties.ContentKey, _cancellation));
            }

            if (!fits(written[0].Length))
            {
                return null;
            }

            _inputs.RequireUnchangedContent(_cancellation);
            _cancellation.ThrowIfCancellationRequested();
            written.ForEach(model => model.Commit());
            return written[0].Length;
        }
        finally
        {
            written.ForEach(model => model.Dispose());
        }
    }

    /// <summary>
    /// Bits stored for each quantized weight in a file of <paramref name="profile"/>; a weight that layers share counts once.
    /// </summary>
    private double BitsPerWeight(EmissionProfile profile)
    {
        LayerReport[] stored = [.. Results.Select(layer => layer.Report(profile)).Where(layer => layer.SharesWeightOf is null)];
        double weights = stored.Sum(layer => (double)layer.Rows * layer.Columns);
        return stored.Sum(layer => layer.BitsPerWeight * layer.Rows * layer.Columns) / weights;
    }

    private EmbeddingReport Describe(EmbeddingTable table) => new(
        table.Name, table.Rows, table.Columns, _file.Read(table.Weight.Tensor).ByteLength, _model.Vocabulary.Bytes(table),
        ReferenceEquals(table, _model.Vocabulary.TiedEmbedding) ? _model.Vocabulary.TiedHead!.Name : null);

    private long FloatBytes(LinearLayer layer) => ModelLayers.BytesOf(_file, layer);
}
