using Zqfp.CudaOps;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization;

/// <summary>Adds up what is in memory while a model is quantized, stage by stage.</summary>
internal static class MemoryEstimate
{
    /// <summary>The process itself with ONNX Runtime, before any model.</summary>
    public const long Base = 150_000_000;

    /// <summary>What running slices leaves behind: code, and memory that was freed and not given back.</summary>
    public const long Leftover = 125_000_000;

    /// <summary>One byte more for so many of kept values is lost between them in ONNX Runtime's arena: a fifth was measured.</summary>
    public const int ArenaShare = 4;

    /// <summary>
    /// Values of a batch that a slice holds at a time, in rows as wide as its widest layer: activations, attention scores, what ONNX
    /// Runtime's arena keeps for the next run.
    /// </summary>
    public const int LiveRows = 16;

    /// <summary>
    /// The same where a GPU holds them: what is copied of a batch to be summed up, which is what layers read, the float model's, the stream
    /// and the targets.
    /// </summary>
    public const int CopiedRows = 4;

    /// <summary>CUDA's context and libraries.</summary>
    public const long CudaBase = 1_500_000_000;

    /// <summary>Bytes at the peak, and those of them, or beside them, that cross from one slice to the next.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="plan">Its stages, and those of the float model beside them; each runs once.</param>
    /// <param name="hasTargets">Whether weights are moved to float targets.</param>
    /// <param name="choices">The layers that are quantized, by name.</param>
    /// <param name="tokens">Calibration tokens; 0 where nothing is run.</param>
    /// <param name="use">How the work is divided.</param>
    /// <param name="part">The shard that does it; null for all of it.</param>
    public static (long Peak, long Boundaries) Of(
        GraphIndex graph, TargetPlan plan, bool hasTargets, IReadOnlyDictionary<string, LayerChoice> choices, long tokens, MemoryUse use,
        ShardPart? part = null)
    {
        var kept = new KeptValues(plan.Values, tokens);
        var exact = new KeptValues(plan.Values, tokens);
        long results = 0;
        long peak = 0;
        long crossing = 0;
        long atOnce = Math.Min(Math.Max(use.TokensAtOnce, plan.BatchTokens), tokens);
        long live = atOnce * plan.Values.Widest * sizeof(float) * (plan.RunsOnGpu ? CopiedRows : LiveRows);
        for (int i = 0; i < plan.Stages.Count && i <= (part?.LastStage ?? i); i++)
        {
            CalibrationStage stage = plan.Stages[i];
            kept.Add(stage);
            long columns = stage.Layers[0].InFeatures;
            long square = tokens == 0 ? 0 : sizeof(float) * columns * columns;
            long slice = SliceWeights(graph, stage) + ExpertBytes(stage, choices);
            if (plan.Float?[i] is { } beside)
            {
                exact.Add(beside);
                slice = Math.Max(slice, SliceWeights(graph, beside));
            }

            // Two half Hessians while they grow, and for targets the cross moments of both parts; then whole ones.
            long widestLayer = sizeof(float) * columns
                * stage.Layers.GroupBy(layer => layer.Matrix).Max(joined => joined.Sum(layer => (long)layer.OutFeatures));
            long joined = plan.JoinsOf(stage).Values.Sum(join => 2L * sizeof(float) * columns * join.Bias.Length);
            long moments = !hasTargets || tokens == 0 ? 0 : joined + (plan.JoinsOf(stage).Count < stage.Layers.Count ? 2 * square : 0);
            long running = tokens == 0
                ? 0
                : slice + live + (moments > 0 ? square + moments : square / 2);

            // GPTQ holds H, half of H for the factor, W, and about W again for errors and codes; the targets the gaps of both parts,
            // and H in parts, beside which H of all is needed where another layer follows.
            long parts = stage.Layers.Count > 1 ? 2 : 1;
            long quantizing = square + (square / 2) + (2 * widestLayer)
                + (moments > 0 ? moments + (parts * square) + (square / 2) + (2 * widestLayer) : 0);
            quantizing = part is null || stage.Layers.Any(part.Has) ? quantizing : 0;

            // Of what is in files, what the batches under way read and write is in memory; finished layers are mapped from files, which
            // the system drops where memory is short. What a GPU's values lie in is kept for those of other sizes too.
            long boundaries = kept.Bytes + exact.Bytes;
            boundaries += boundaries / (plan.RunsOnGpu ? PinnedPool.IdleShare : ArenaShare);
            boundaries = use.SpillsBoundaries && tokens > 0 ? (long)((double)boundaries * atOnce / tokens) : boundaries;
            peak = Math.Max(peak, (use.SpillsBoundaries ? 0 : results) + boundaries + Math.Max(running, quantizing));
            crossing = Math.Max(crossing, kept.Bytes + exact.Bytes);

            // Those of experts are read past their mapping when they are put together.
            results += stage.Layers.Where(layer => layer.Expert is null && part?.Has(layer) != false)
                .Sum(layer => QuantizedSize.Bytes(choices[layer.Name]));
            kept.Remove(stage);
            if (plan.Float is { } floats)
            {
                exact.Remove(floats[i]);
            }
        }

        return (Base + (plan.RunsOnGpu ? CudaBase : 0) + (tokens > 0 ? Leftover : 0) + peak, crossing);
    }

    /// <summary>The weights that ONNX Runtime packs for a slice: those of the layers it runs, which it copies, in float32.</summary>
    private static long SliceWeights(GraphIndex graph, CalibrationStage stage) => stage.Nodes
        .SelectMany(node => node.OpType == OperatorNames.ExpertMatMul ? node.Input.Take(2) : node.Input)
        .Distinct()
        .Select(graph.Initializer)
        .OfType<TensorProto>()
        .Sum(tensor => ValueBytes.Of((DataType)tensor.DataType, tensor.Dims.Aggregate(1L, (product, dim) => product * dim)));

    /// <summary>
    /// The quantized experts that a slice runs, put together and packed; those of the float model are read where they lie in the file.
    /// </summary>
    private static long ExpertBytes(CalibrationStage stage, IReadOnlyDictionary<string, LayerChoice> choices)
    {
        HashSet<NodeProto> run = new(stage.Nodes, ReferenceEqualityComparer.Instance);
        return 2 * choices.Values.Where(choice => choice.Layer.Expert is not null && run.Contains(choice.Layer.Nodes[0]))
            .Sum(QuantizedSize.Bytes);
    }

    /// <summary>The values that one of the two runs keeps for later slices.</summary>
    private sealed class KeptValues(ValueBytes values, long tokens)
    {
        private readonly Dictionary<string, long> _bytes = new(StringComparer.Ordinal);

        public long Bytes => _bytes.Values.Sum();

        public void Add(CalibrationStage stage)
        {
            foreach (string value in stage.Keeps)
            {
                _bytes[value] = tokens * values.Of(value);
            }
        }

        public void Remove(CalibrationStage stage)
        {
            foreach (string value in stage.Drops)
            {
                _bytes.Remove(value);
            }
        }
    }
}
