using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Cuts a graph before each group of layers that read the same value, so that each part runs once over the calibration
/// windows and only the values crossing a cut are kept. It knows no architecture.
/// </summary>
/// <remarks>
/// Nodes that depend on no linear layer (embedding, masks, rotary tables) are cheap: every slice that needs them computes
/// them again, and nothing of them is kept. The same holds for nodes that make sequences and optionals, which nothing can keep: their
/// inputs are kept instead. Layers are grouped in the order they run, so a stage's input depends only on
/// layers of earlier stages: slice i + 1 runs stage i's layers as they then are, quantized.
/// </remarks>
internal static class StagePlanner
{
    /// <summary>The stages of <paramref name="layers"/>, in the order they run.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="layers">The layers to quantize.</param>
    /// <param name="allLinear">Every linear layer of the graph, quantized or not.</param>
    /// <param name="logits">The output that calibration is for.</param>
    /// <param name="observes">
    /// What is to be looked at before a stage's layers are quantized, at least one value; null for what they read.
    /// </param>
    public static IReadOnlyList<CalibrationStage> Plan(
        GraphIndex graph,
        IReadOnlyList<LinearLayer> layers,
        IReadOnlyList<LinearLayer> allLinear,
        string logits,
        Func<IReadOnlyList<LinearLayer>, IEnumerable<string>>? observes = null)
    {
        HashSet<NodeProto> live = Reachability.Ancestors(graph, [logits], stop: _ => false);
        HashSet<NodeProto> costly = Reachability.Descendants(graph, allLinear.Select(layer => layer.Nodes[0]));
        HashSet<NodeProto> repeated = NonTensors.MadeBy(graph);
        HashSet<NodeProto> done = new(ReferenceEqualityComparer.Instance);
        HashSet<string> kept = new(StringComparer.Ordinal);
        List<CalibrationStage> stages = [];
        foreach (IReadOnlyList<LinearLayer> stage in StageOrder.Group(graph, layers))
        {
            string[] observed = [.. (observes?.Invoke(stage) ?? [stage[0].Input]).Distinct()];
            HashSet<NodeProto> slice = Reachability.Ancestors(graph, observed, kept.Contains);
            done.UnionWith(slice.Where(costly.Contains));
            string[] reads =
            [
                .. slice.SelectMany(GraphIndex.ReadBy).Concat(observed).Where(kept.Contains).Distinct().Order(StringComparer.Ordinal)
            ];
            string[] keeps =
            [
                .. slice.Where(node => costly.Contains(node) && !repeated.Contains(node))
                    .SelectMany(node => node.Output).Where(value => value.Length > 0 && ReadLater(value)).Order(StringComparer.Ordinal),
            ];
            string[] drops = [.. kept.Where(value => !ReadLater(value)).Order(StringComparer.Ordinal)];
            stages.Add(new CalibrationStage
            {
                Input = stage[0].Input,
                Layers = stage,
                Observes = observed,
                Nodes = [.. slice.OrderBy(graph.Position)],
                Reads = reads,
                Keeps = keeps,
                Drops = drops,
            });
            kept.UnionWith(keeps);
            kept.ExceptWith(drops);
        }

        return stages;

        bool ReadLater(string value) => graph.Consumers(value).Any(node => live.Contains(node) && costly.Contains(node) && RunsLater(node));

        // A node that is repeated runs again in every slice that reads what it makes.
        bool RunsLater(NodeProto node) => !done.Contains(node) || (repeated.Contains(node) && node.Output.Any(ReadLater));
    }
}
