using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// Where shards begin: what crosses the graph there is left in the work folder by whichever runs past it first, and a shard that starts
/// later begins at the last of these places before its own layers.
/// </summary>
/// <param name="own">What this shard does.</param>
/// <param name="all">What all of them do.</param>
internal sealed class ShardCuts(ShardPart own, IReadOnlyList<ShardPart> all)
{
    private readonly HashSet<int> _starts = [.. all.Select(part => part.FirstStage).Where(stage => stage > 0)];

    /// <summary>What this shard does.</summary>
    public ShardPart Own => own;

    /// <summary>The last stage that this shard runs.</summary>
    public int Last => own.LastStage;

    /// <summary>Takes what crosses the last place before this shard's layers that is there.</summary>
    /// <returns>The stage that runs next.</returns>
    public int Continue(IReadOnlyList<CalibrationStage> stages, StageCalibration calibration, BoundaryStore store)
    {
        foreach (int start in _starts.Where(start => start <= own.FirstStage).OrderDescending())
        {
            if (store.TryContinue(Crossing(stages, start), calibration.Only))
            {
                return start;
            }
        }

        return 0;
    }

    /// <summary>Leaves what crosses the graph before a stage where a shard begins there and it is not there yet.</summary>
    public void Keep(int stage, IReadOnlyList<CalibrationStage> stages, StageCalibration calibration, BoundaryStore store)
    {
        if (_starts.Contains(stage))
        {
            store.Keep(Crossing(stages, stage), calibration.Only);
        }
    }

    /// <summary>The values that slices before a stage keep for it and later ones.</summary>
    private static string[] Crossing(IReadOnlyList<CalibrationStage> stages, int stage)
    {
        HashSet<string> kept = new(StringComparer.Ordinal);
        foreach (CalibrationStage before in stages.Take(stage))
        {
            kept.UnionWith(before.Keeps);
            kept.ExceptWith(before.Drops);
        }

        return [.. kept.Order(StringComparer.Ordinal)];
    }
}
