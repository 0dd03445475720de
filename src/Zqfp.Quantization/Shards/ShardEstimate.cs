using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Tells what each shard of a quantization would need.</summary>
internal static class ShardEstimate
{
    /// <summary>The shards and the merge.</summary>
    /// <param name="options">The options of the run.</param>
    /// <param name="file">The model.</param>
    /// <param name="model">Its layers.</param>
    /// <param name="plan">Its stages.</param>
    /// <param name="choices">The layers that are quantized, by name.</param>
    /// <param name="tokens">Calibration tokens; 0 where nothing is run.</param>
    /// <param name="output">Bytes of the model that is written.</param>
    /// <param name="use">How the work is divided within the memory allowed.</param>
    /// <param name="rates">The machine.</param>
    /// <param name="count">How many shards there are.</param>
    public static IReadOnlyList<PlannedShard> Of(
        QuantizeOptions options, OnnxFile file, ModelLayers model, TargetPlan plan, IReadOnlyDictionary<string, LayerChoice> choices,
        long tokens, long output, MemoryUse use, MachineRates rates, int count)
    {
        long modelBytes = ModelFiles.Bytes(file);
        IReadOnlyList<ShardPart> parts = ShardPlan.Of(model.Graph, plan.Stages, tokens, count);
        double writing = (modelBytes + (2 * output)) / MachineRates.DiskBytes;
        return
        [
            .. parts.Select((part, i) =>
            {
                (long peak, long boundaries) = MemoryEstimate.Of(
                    model.Graph, plan, options.LayerTarget != LayerTarget.None, choices, tokens, use, part);
                long results = part.Layers.Sum(layer => QuantizedSize.Bytes(choices[layer.Name]));
                PlannedSeconds seconds = WorkEstimate.Seconds(
                    options, model.Graph, plan, [.. choices.Values], tokens, modelBytes + results, rates, part, count);
                return new PlannedShard(new Shard(i, count).ToString(), part.Layers.Count, seconds.Total, peak, results + boundaries);
            }),
            new PlannedShard("merge", 0, writing, MemoryEstimate.Base, output),
        ];
    }
}
