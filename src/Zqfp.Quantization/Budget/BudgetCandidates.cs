using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Quantization;

/// <summary>Lists the weights that a budget decides about, and the ways to store each.</summary>
internal static class BudgetCandidates
{
    private const int FineGroup = 32;

    /// <summary>The largest rank tried, as a multiple of the option's.</summary>
    private const int RankFactor = 4;

    /// <summary>Bytes at which a tensor of its own place in the data file begins, and to multiples of what it is placed.</summary>
    private const int PlaceFrom = ModelRewriter.InlineLimit, Place = 4096;

    /// <summary>The weights of the layers to quantize, heads, experts and layers with an override of their own aside.</summary>
    /// <param name="file">The model.</param>
    /// <param name="model">Its layers.</param>
    /// <param name="options">The options of the run.</param>
    public static IReadOnlyList<BudgetUnit> Of(OnnxFile file, ModelLayers model, QuantizeOptions options)
    {
        LayerChoice[] free =
        [
            .. model.Chosen.Where(choice => !choice.Layer.IsHead && !choice.Layer.IsExpert
                && !LayerChooser.IsOverridden(choice.Layer, options.Selection))
        ];
        LinearLayer[] layers = [.. free.Select(choice => choice.Layer).GroupBy(layer => layer.Input).SelectMany(stage => stage)];
        IReadOnlyList<LinearLayer> marked = SharedWeights.Mark(model.Graph, layers, (_, _) => true);
        return [.. marked.GroupBy(layer => layer.SharesWeightOf ?? layer.Name).Select(shared =>
        {
            LinearLayer owner = shared.First();
            LayerChoice choice = free.First(choice => choice.Layer.Name == owner.Name);
            TensorProto weight = owner.Source.Tensor;
            return new BudgetUnit([.. shared], Candidates(choice, options.Profiles[0], file.Read(weight).ByteLength));
        })];
    }

    private static IReadOnlyList<BudgetCandidate> Candidates(LayerChoice choice, EmissionProfile profile, long floatBytes)
    {
        (int group, int rank) = (choice.Options.GroupSize, choice.Options.Rank);
        int most = Math.Min(choice.Layer.OutFeatures, choice.Layer.InFeatures) / 2;
        int[] groups = [group, .. group is > 0 and <= FineGroup ? (int[])[] : [FineGroup]];
        int[] ranks = [.. ((int[])[0, rank, RankFactor * rank]).Where(r => r <= most).Distinct()];
        string name = choice.Layer.Name;
        LayerOverride[] changes =
        [
            .. groups.SelectMany(size => ranks.Select(
                r => new LayerOverride(name) { Format = NumberFormat.E2M1, GroupSize = size, Rank = r })),
            new(name) { Format = NumberFormat.E4M3, GroupSize = group, Rank = 0 },
        ];
        IEnumerable<BudgetCandidate> quantized = changes.Select(change => new BudgetCandidate(
            change, QuantizedSize.Bytes(choice with { Options = change.Apply(choice.Options) }, profile)));
        return
        [
            .. quantized.Append(new BudgetCandidate(new LayerOverride(name) { KeepFloat = true }, floatBytes))
                .OrderBy(candidate => candidate.Bytes),
        ];
    }

    /// <summary>
    /// What a quantized layer takes in the files beside its numbers: its tensors begin at multiples of a page, and have names.
    /// </summary>
    public static long Overhead(BudgetCandidate candidate, LinearLayer layer)
    {
        const long Structure = 1200;
        if (candidate.Change.KeepFloat)
        {
            return 0;
        }

        long rows = layer.OutFeatures;
        int tensors = (candidate.Bytes < PlaceFrom ? 0 : 1) + (4 * rows >= PlaceFrom ? 2 : 0) + (candidate.Change.Rank > 0 ? 2 : 0);
        return Structure + (tensors * (long)Place / 2);
    }
}
