using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Adds up the operations of a run, and how long they take at a machine's rates.</summary>
internal static class WorkEstimate
{
    /// <summary>Lambdas that are usually tried for a target before the error on the held-out windows rises.</summary>
    private const int Lambdas = 8;

    /// <summary>Seconds of a run.</summary>
    /// <param name="options">Its options.</param>
    /// <param name="graph">The graph.</param>
    /// <param name="plan">Its stages, and those of the float model beside them, which run as long.</param>
    /// <param name="chosen">The layers that are quantized.</param>
    /// <param name="tokens">Calibration tokens; 0 where nothing is run.</param>
    /// <param name="diskBytes">Bytes read and written.</param>
    /// <param name="rates">The machine.</param>
    /// <param name="part">The shard that does it; null for all of it.</param>
    /// <param name="shards">How many shards there are.</param>
    public static PlannedSeconds Seconds(
        QuantizeOptions options, GraphIndex graph, TargetPlan plan, IReadOnlyList<LayerChoice> chosen, long tokens, long diskBytes,
        MachineRates rates, ShardPart? part = null, int shards = 1)
    {
        // A shard runs its share of the windows through all layers, and all windows through the layers before each of its stages.
        double Forward(IEnumerable<LinearLayer> layers) => WorkEstimate.Forward(graph, layers, tokens);
        double whole = Forward(chosen.Select(choice => choice.Layer));

        // Layers of the last stage are run by the float model alone, where their outputs are what is aimed at.
        double forward = part is null
            ? whole - Forward(plan.Stages.TakeLast(1).SelectMany(stage => stage.Layers))
            : (whole / shards) + Forward(plan.Stages.Take(Math.Max(0, part.LastStage)).Skip(Math.Max(0, part.FirstStage - 1))
                .SelectMany(stage => stage.Layers));
        CalibrationStage[] stages = [.. plan.Stages.Where(stage => part is null || stage.Layers.Any(part.Has))];
        (int Rows, int Columns)[] matrices = [.. chosen.Select(choice => choice.Layer).Where(layer => part?.Has(layer) != false)
            .GroupBy(layer => layer.Matrix)
            .Select(joined => (joined.Sum(layer => layer.OutFeatures), joined.First().InFeatures))];
        double Read(CalibrationStage stage) => tokens * Readers(graph, stage.Layers.Where(layer => part?.Has(layer) != false));
        double sums = stages.Sum(stage => MachineRates.GramWork(Read(stage), stage.Layers[0].InFeatures));
        double quantize = matrices.Sum(matrix => rates.LayerSeconds(matrix.Rows, matrix.Columns));
        double moves = 0;
        if (tokens > 0 && options.LayerTarget != LayerTarget.None)
        {
            sums += stages.Sum(stage => Beside(plan, stage, Read(stage)));
            moves = matrices.Sum(matrix => Move(matrix.Rows, matrix.Columns));
        }

        if (tokens > 0 && options.Rotation == QuantizeOptions.AutoRotation)
        {
            sums += stages.Sum(stage => MachineRates.GramWork(
                Math.Min(tokens, RotationChoice.SampledTokens(stage.Layers[0].InFeatures)), stage.Layers[0].InFeatures));
            quantize += matrices.Sum(matrix => 2 * rates.LayerSeconds(Math.Min(RotationChoice.Rows, matrix.Rows), matrix.Columns));
        }

        forward += plan.Float is null ? 0 : part is null ? whole : forward;
        return new PlannedSeconds(
            (forward + sums) / rates.GramOperations,
            MachineRates.WarmUpSeconds + (moves / rates.GramOperations) + quantize,
            diskBytes / MachineRates.DiskBytes);
    }

    /// <summary>What running the model's products with layers takes, in operations of summing.</summary>
    public static double Forward(GraphIndex graph, IEnumerable<LinearLayer> layers, long tokens) => layers.Sum(
        layer => MachineRates.ForwardWork(tokens * ExpertShare.Of(graph, layer), layer.OutFeatures, layer.InFeatures));

    // How often a token's products are summed up: once, and in a mixture by each expert that it goes to.
    private static double Readers(GraphIndex graph, IEnumerable<LinearLayer> layers) =>
        layers.DistinctBy(layer => layer.Expert?.Number).Sum(layer => ExpertShare.Of(graph, layer));

    // The cross moments of a stage's targets: one [K, K] for its layers, or one [N, K] for each that is added to the stream.
    private static double Beside(TargetPlan plan, CalibrationStage stage, double tokens)
    {
        IReadOnlyDictionary<string, TargetJoin> joins = plan.JoinsOf(stage);
        double columns = stage.Layers[0].InFeatures;
        double rows = joins.Values.Sum(join => (double)join.Bias.Length) + (joins.Count < stage.Layers.Count ? columns : 0);
        return 2 * tokens * columns * rows;
    }

    // A factor, two triangular solves and the held-out error for each lambda; then the gaps of all rows, and the solution for them.
    private static double Move(double rows, double columns) =>
        (Lambdas * columns * columns * ((2.0 / 3 * columns) + (6 * Math.Min(rows, FloatTarget.Rows)))) + (8 * rows * columns * columns);
}
