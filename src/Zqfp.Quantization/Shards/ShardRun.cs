using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>The share of one model that a shard quantizes.</summary>
/// <param name="options">What to do.</param>
/// <param name="file">The model.</param>
/// <param name="model">Its layers.</param>
/// <param name="inputs">The files that the run reads, the model's among them.</param>
/// <param name="shard">Which share.</param>
/// <param name="locks">The shard's locks in the work folder.</param>
/// <param name="observer">Where it reports to.</param>
/// <param name="cancellation">Ends it.</param>
internal sealed class ShardRun(
    QuantizeOptions options, OnnxFile file, ModelLayers model, InputFiles inputs, Shard shard, ShardLocks locks, IJobObserver observer,
    CancellationToken cancellation)
    : LayerRun(options, file, model, inputs, observer, cancellation)
{
    /// <summary>Quantizes the layers of one shard and keeps them in the work folder; no model is written.</summary>
    /// <exception cref="ZqfpException">ZQFP0040: a layer depends on layers of other shards.</exception>
    public ShardReport Execute()
    {
        var plan = new TargetPlan(Options, File, Model, Choose());
        TokenWindowSet windows = Clock.Measure("tokenize", LoadWindows);
        if (windows.Windows.Count > 0 && Options.CalibrateOn == CalibrationSource.Quantized)
        {
            return Together(plan, windows);
        }

        IReadOnlyList<ShardPart> parts = ShardPlan.Of(
            Model.Graph, plan.Stages, (long)windows.Windows.Count * Options.Window, shard.Count);
        ShardPart part = parts[shard.Index];
        using LayerStore store = OpenStore(plan.Stages, windows, part.Has);
        LayerWork[] own = [.. Layers.Values.Where(layer => part.Has(layer.Layer))];
        int kept = own.Count(layer => layer.IsKept);
        Observer.Note($"Shard {shard}: {own.Length} of {Layers.Values.Count(layer => layer.IsOwner)} layers"
            + (kept > 0 ? $", {kept} of which are kept in '{Options.WorkFolder}' from an earlier run." : "."));
        if (kept < own.Length && windows.Windows.Count > 0)
        {
            Calibrate(plan, windows, part, (means, calibration) => Begin(plan, windows, parts, means, calibration),
                (stage, input) => Make(stage, part, input, store));
        }
        else
        {
            plan.Stages.ToList().ForEach(stage => Make(stage, part, input: null, store));
        }

        return Report([.. own.Select(layer => layer.Layer.Name)], kept, windows, store);
    }

    /// <summary>Runs this shard's share of the windows, and gives what crosses the graph where the shard begins.</summary>
    private int Begin(
        TargetPlan plan, TokenWindowSet windows, IReadOnlyList<ShardPart> parts, CalibrationMeans means, StageCalibration calibration)
    {
        var boundaries = new BoundaryStore(
            Options.WorkFolder!, LayerKeys.OfFloat(Options, File, windows.Windows, Inputs, Cancellation));
        var forward = new ShardForward(
            plan.Stages, parts, shard, means.Batches.Count, boundaries, some => means.Runner(FloatModel(), some), Cancellation);
        return Clock.Measure("calibrate", () =>
        {
            forward.LeaveOwn();
            locks.EndForward();
            return forward.Continue(calibration.Only, locks.IsUnderWay);
        });
    }

    /// <summary>Where a layer depends on those before it, shards go from stage to stage together.</summary>
    private ShardReport Together(TargetPlan plan, TokenWindowSet windows)
    {
        using CudaLayerDevice? device = Open();
        Vocabulary.Embeddings().ToList().ForEach(Rewriter.Replace);
        using LayerStore store = OpenStore(plan.Stages, windows, _ => true);
        IReadOnlyList<TokenBatch> batches = BatchesOf(windows);
        locks.Announce(
            ShardNotice.Of(Options, Layers.Values.Select(layer => layer.Key), File, windows, Inputs, Cancellation), Observer,
            Cancellation);
        var exchange = new ShardExchange(shard, batches.Count, Options.WorkFolder!, layer => Layers[layer.Name].Key, locks,
            Options.Patience, Observer, Cancellation);
        List<string> own = [];
        int kept = 0;
        if (exchange.Own.Count == 0)
        {
            return Report(own, kept, windows, store);
        }

        var means = new CalibrationMeans(Options, Model.Facts, batches, Divide(plan, windows, null), device, Cancellation);
        using var calibration = new StageCalibration(
            plan, isQuantized => means.Runner(CalibratedModel(isQuantized), exchange.Own), batches, means.Workers)
        {
            Exchange = exchange,
            Create = () => means.NewValues(batches.Count),
        };
        for (int i = 0; i < plan.Stages.Count; i++)
        {
            CalibrationStage stage = plan.Stages[i];
            bool isFinished = stage.Layers.All(layer => IsThere(layer, store));
            LayerWork[] mine = [.. stage.Layers.Where(layer => exchange.Quantizes(stage, i, layer)).Select(layer => Layers[layer.Name])];
            own.AddRange(mine.Select(layer => layer.Layer.Name));
            kept += mine.Count(layer => layer.IsKept);
            int index = i;
            locks.Reach(index);
            using (StageInputs? input = Clock.Measure("calibrate", () => calibration.Run(
                index, OptionsOf, layers => WeightReader.Read(File, layers), mine.Any(layer => !layer.IsKept), RotationOf(stage.Input),
                isLeft: !isFinished)))
            {
                Make(mine, layer => Layers.IndexOf(layer.Layer.Name), Layers.Count, input, store);
            }

            Clock.Measure("wait", () =>
            {
                exchange.Finish(stage, index, layer => IsThere(layer, store));
                return true;
            });
            calibration.RemoveLeft(i);
            Rewriter.Replace(Make(stage, input: null, store));
        }

        return Report(own, kept, windows, store);
    }

    /// <summary>Gets each of the layers that a shard has of <paramref name="stage"/>.</summary>
    private void Make(CalibrationStage stage, ShardPart part, StageInputs? input, LayerStore store)
    {
        List<string> names = [.. part.Layers.Select(own => own.Name)];
        LayerWork[] own = [.. stage.Layers.Where(part.Has).Select(layer => Layers[layer.Name])];
        Make(own, layer => names.IndexOf(layer.Layer.Name), names.Count, input, store);
    }

    /// <summary>Whether a layer is made, by this process or by now by another.</summary>
    private bool IsThere(LinearLayer layer, LayerStore store)
    {
        LayerWork work = Layers[layer.Name];
        work.Result ??= work.IsOwner ? store.Read(work.Key, layer) : null;
        return work.IsKept;
    }

    private ShardReport Report(List<string> layers, int kept, TokenWindowSet windows, LayerStore store)
    {
        store.RemoveLeftovers();
        BoundaryStore.RemoveLeftovers(Options.WorkFolder!, isLocked: false);
        Observer.Report(new JobProgress("Quantizing", layers.Count, layers.Count, "layers"));
        return new ShardReport
        {
            Model = Options.ModelPath,
            Shard = shard.ToString(),
            WorkFolder = Options.WorkFolder!,
            Recipe = Recipe.Describe(Options),
            Layers = layers,
            Kept = kept,
            CalibrationWindows = windows.Windows.Count,
            Seconds = Clock.Seconds,
            Warnings = Warnings,
        };
    }
}
