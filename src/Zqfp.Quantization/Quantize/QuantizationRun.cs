using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>One model on its way from float to quantized.</summary>
internal sealed class QuantizationRun(
    QuantizeOptions options, OnnxFile file, ModelLayers model, InputFiles inputs, IJobObserver observer, CancellationToken cancellation)
    : LayerRun(options, file, model, inputs, observer, cancellation)
{
    private readonly List<IReadOnlyList<QuantizedLayerTensors>> _deferred = [];

    /// <summary>Quantizes the model and writes it.</summary>
    public QuantizeReport Execute() => Execute(_ => true, _ => true, null)!;

    /// <summary>Quantizes the model, and writes it where that is wanted.</summary>
    /// <param name="accepts">Is given the model with all layers replaced; false to write nothing.</param>
    /// <param name="fits">Is given the bytes of the files; false to write nothing.</param>
    /// <param name="windows">The calibration windows; null for those that the options name.</param>
    /// <returns>Null where nothing was written.</returns>
    public QuantizeReport? Execute(Func<ModelRewriter, bool> accepts, Func<long, bool> fits, TokenWindowSet? windows)
    {
        foreach ((EmissionProfile profile, _) in ProfileFiles.Of(Options))
        {
            Rewriter.Require(profile);
        }

        RequireSeparateOutput();
        var plan = new TargetPlan(Options, File, Model, Choose());
        QuantizedEmbedding[] embeddings = Clock.Measure("quantize", () => Vocabulary.Embeddings().ToArray());
        if (Options.CalibrateOn == CalibrationSource.Quantized)
        {
            Array.ForEach(embeddings, Rewriter.Replace);
        }

        IReadOnlyList<CalibrationStage> stages = plan.Stages;
        windows ??= Clock.Measure("tokenize", LoadWindows);
        using LayerStore store = OpenStore(stages, windows, _ => true);
        TellWhatIsKept(store);
        if (Options.MergesOnly)
        {
            ShardMerge.Require(Options, Model, stages, windows, Layers.Values);
        }

        if (windows.Windows.Count == 0 || Layers.Values.All(layer => layer.IsKept))
        {
            stages.ToList().ForEach(stage => Finish(stage, input: null, store));
        }
        else
        {
            Calibrate(plan, windows, part: null, (_, _) => 0, (stage, input) => Finish(stage, input, store));
        }

        _deferred.ForEach(Rewriter.Replace);
        if (Options.CalibrateOn != CalibrationSource.Quantized)
        {
            Array.ForEach(embeddings, Rewriter.Replace);
        }

        LayerDiagnostics.Merge(Results, File.Path).ToList().ForEach(Warn);
        if (Options.Bias == LayerBias.Fitted && Results.All(layer => layer.Tensors.Bias is null))
        {
            Observer.Note("No bias was fitted: no input is read by layers that all have one, or there is a single calibration window.",
                isDetail: false);
        }

        Observer.Report(new JobProgress("Quantizing", Layers.Count, Layers.Count, "layers"));
        if (!accepts(Rewriter))
        {
            return null;
        }

        QuantizeReport? report = Save(windows.Windows.Count, fits);
        if (report is not null)
        {
            store.Prune(report.QuantizedBytes);
            if (Options.WorkFolder is { } work)
            {
                BoundaryStore.Clear(work);
            }
        }

        return report;
    }

    /// <summary>From where an interrupted run continues, and what of it cannot be used.</summary>
    private void TellWhatIsKept(LayerStore store)
    {
        LayerWork[] owners = [.. Layers.Values.Where(layer => layer.IsOwner)];
        int kept = owners.Count(layer => layer.IsKept);
        if (store.Unfit > 0)
        {
            Observer.Note($"{store.Unfit} kept layers in '{Options.WorkFolder}' are damaged or of another version: they are made again.",
                isDetail: true);
        }

        if (kept > 0)
        {
            string next = owners.FirstOrDefault(layer => !layer.IsKept) is { } first
                ? $"Continuing with '{first.Layer.DisplayName}'."
                : "Only the model is written again.";
            Observer.Note($"{kept} of {owners.Length} layers are kept in '{Options.WorkFolder}' from an earlier run. {next}");
        }
    }

    private IReadOnlyList<QuantizedLayerResult> Results => [.. Layers.Values.Select(layer => layer.Result!)];

    /// <summary>Weights are read until the outputs are written, so these must be none of the model's files.</summary>
    private void RequireSeparateOutput()
    {
        foreach (string path in ProfileFiles.Of(Options).Select(file => file.Path))
        {
            if (File.ExternalFiles().Any(file => RealPath.AreSame(file, path) || RealPath.AreSame(file, path + ".data")))
            {
                throw new ZqfpException("ZQFP0003", "The output would overwrite the model's weights. Choose another --output.", path);
            }
        }
    }

    /// <summary>Puts each layer of <paramref name="stage"/>, kept or quantized now, into the model.</summary>
    private void Finish(CalibrationStage stage, StageInputs? input, LayerStore store)
    {
        QuantizedLayerTensors[] replacements = Make(stage, input, store);
        if (Options.CalibrateOn == CalibrationSource.Quantized)
        {
            Rewriter.Replace(replacements);
        }
        else
        {
            _deferred.Add(replacements);
        }
    }

    private QuantizeReport? Save(int calibrationWindows, Func<long, bool> fits)
    {
        EmissionProfile first = Options.Profiles[0];
        Inputs.RequireUnchanged(Cancellation);
        long originalBytes = ModelFiles.Bytes(File);
        LayerReport[] layers = [.. Results.Select(layer => layer.Report(first) with { FloatBytes = FloatBytes(layer.Tensors.Layer) })];
        EmbeddingReport[] embeddings = [.. Model.Vocabulary.Embeddings.Select(Describe)];
        long? quantizedBytes = Clock.Measure("write", () => Write(fits));
        return quantizedBytes is null ? null : new QuantizeReport
        {
            Model = Options.ModelPath,
            Output = Options.OutputPath,
            Outputs = [.. ProfileFiles.Of(Options).Select(file => file.Path)],
            Recipe = Recipe.Describe(Options),
            Options = OptionList.Of(Options),
            Layers = layers,
            Embeddings = embeddings,
            Coverage = Coverage,
            BitsPerWeight = BitsPerWeight(first),
            OriginalBytes = originalBytes,
            QuantizedBytes = quantizedBytes.Value,
            CalibrationWindows = calibrationWindows,
            Seconds = Clock.Seconds,
            Warnings = Warnings,
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
            foreach ((EmissionProfile profile, string path) in ProfileFiles.Of(Options))
            {
                IEnumerable<KeyValuePair<string, string>> properties = ModelProperties.Make(
                    Recipe.Describe(Options, profile), profile, Layers.Count, BitsPerWeight(profile));
                written.Add(Rewriter.Write(path, profile, properties, ModelProperties.ContentKey, Cancellation));
            }

            if (!fits(written[0].Length))
            {
                return null;
            }

            Inputs.RequireUnchangedContent(Cancellation);
            Cancellation.ThrowIfCancellationRequested();
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
        table.Name, table.Rows, table.Columns, File.Read(table.Weight.Tensor).ByteLength, Model.Vocabulary.Bytes(table),
        ReferenceEquals(table, Model.Vocabulary.TiedEmbedding) ? Model.Vocabulary.TiedHead!.Name : null);

    private long FloatBytes(LinearLayer layer) => ModelLayers.BytesOf(File, layer);
}
