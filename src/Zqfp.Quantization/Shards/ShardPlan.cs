using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// Divides the layers of a model among shards: each gets layers that follow one another, so that as few as possible sum up the same input,
/// and the longest has the least work that such a division allows. Every process comes to the same division: it is made of the shapes
/// alone.
/// </summary>
internal static class ShardPlan
{
    /// <summary>
    /// What an operation of quantizing takes in those of summing products: 119 against 4.2 GFLOP/s, as <c>plan</c> measures the default
    /// recipe on two cores with AVX-512.
    /// </summary>
    private const double QuantizeWeight = 28;

    private const int Halvings = 64;

    /// <summary>The parts of all shards.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="stages">The stages of all layers.</param>
    /// <param name="tokens">Calibration tokens; 0 where nothing is run.</param>
    /// <param name="count">How many shards there are.</param>
    public static IReadOnlyList<ShardPart> Of(GraphIndex graph, IReadOnlyList<CalibrationStage> stages, long tokens, int count)
    {
        Item[] items = [.. Items(graph, stages, tokens)];
        double low = 0;
        double high = items.Length == 0 ? 0 : items.Sum(item => item.Own + item.Stage);
        for (int i = 0; i < Halvings; i++)
        {
            double middle = (low + high) / 2;
            (low, high) = Divide(items, middle, count) is null ? (middle, high) : (low, middle);
        }

        return [.. Divide(items, high, count)!.Select(part => new ShardPart(
            [.. part.SelectMany(item => item.Layers)],
            part.Count == 0 ? -1 : part[0].Index,
            part.Count == 0 ? -1 : part[^1].Index))];
    }

    /// <summary>Gives each shard as many layers as it can do within a limit; null where some are left over.</summary>
    private static List<List<Item>>? Divide(Item[] items, double limit, int count)
    {
        List<List<Item>> parts = [];
        int next = 0;
        for (int i = 0; i < count; i++)
        {
            List<Item> part = [];
            double work = 0;
            for (; next < items.Length; next++)
            {
                Item item = items[next];
                double more = item.Own + (part.Count > 0 && part[^1].Index == item.Index ? 0 : item.Stage);
                if (work + more > limit)
                {
                    break;
                }

                work += more;
                part.Add(item);
            }

            parts.Add(part);
        }

        return next == items.Length ? parts : null;
    }

    private static IEnumerable<Item> Items(GraphIndex graph, IReadOnlyList<CalibrationStage> stages, long tokens)
    {
        for (int i = 0; i < stages.Count; i++)
        {
            // The slice of a stage runs the layers of the one before.
            double stage = i == 0 ? 0 : WorkEstimate.Forward(graph, stages[i - 1].Layers, tokens);
            foreach (IGrouping<string, LinearLayer> joined in stages[i].Layers.Where(layer => layer.SharesWeightOf is null)
                .GroupBy(layer => layer.Matrix))
            {
                LinearLayer first = joined.First();
                double sums = MachineRates.GramWork(tokens, first.InFeatures);
                yield return new Item([.. joined], i, stage + (first.IsExpert ? 0 : sums),
                    (QuantizeWeight * MachineRates.WorkOf(joined.Sum(layer => layer.OutFeatures), first.InFeatures))
                        + (first.IsExpert ? ExpertShare.Of(graph, first) * sums : 0));
            }
        }
    }

    /// <summary>A layer, or those quantized as one matrix, and the costs in operations.</summary>
    /// <param name="Layers">The layers.</param>
    /// <param name="Index">Its stage.</param>
    /// <param name="Stage">Of running the slice of its stage and summing up what that gives, once for all layers of a stage.</param>
    /// <param name="Own">Of quantizing it.</param>
    private sealed record Item(IReadOnlyList<LinearLayer> Layers, int Index, double Stage, double Own);
}
