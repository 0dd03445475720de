using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// The float model's part in shards, each window of which is run once up to where the last shard begins: every shard runs its share of
/// the windows through all places where shards begin and leaves there what crosses the graph. It then begins at its own place with all
/// windows. What shards that are not under way have not left, it makes itself.
/// </summary>
/// <remarks>A shard waits only for shards that run their windows, and these wait for nothing.</remarks>
/// <param name="stages">The stages of all layers.</param>
/// <param name="parts">What all shards do.</param>
/// <param name="shard">Which of them this is.</param>
/// <param name="batches">Number of batches.</param>
/// <param name="store">Where shards leave values.</param>
/// <param name="runner">Makes a runner of the float model over some batches.</param>
/// <param name="cancellation">Ends the waiting.</param>
internal sealed class ShardForward(
    IReadOnlyList<CalibrationStage> stages, IReadOnlyList<ShardPart> parts, Shard shard, int batches, BoundaryStore store,
    Func<IReadOnlyList<int>, SliceRunner> runner, CancellationToken cancellation)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    private readonly int[] _starts = [.. parts.Select(part => part.FirstStage).Where(stage => stage > 0).Distinct().Order()];

    /// <summary>What this shard does.</summary>
    public ShardPart Own => parts[shard.Index];

    /// <summary>Runs this shard's share of the windows.</summary>
    public void LeaveOwn() => Leave([.. Enumerable.Range(0, batches).Where(batch => batch % shard.Count == shard.Index)], int.MaxValue);

    /// <summary>Gives a runner over all windows what crosses the graph where this shard begins.</summary>
    /// <param name="all">The runner.</param>
    /// <param name="isUnderWay">Whether the shard of an index runs its share of the windows just now.</param>
    /// <returns>The stage that runs next.</returns>
    public int Continue(SliceRunner all, Func<int, bool> isUnderWay)
    {
        int start = Math.Max(0, Own.FirstStage);
        int[] every = [.. Enumerable.Range(0, batches)];
        while (start > 0)
        {
            cancellation.ThrowIfCancellationRequested();
            int[] missing = store.Missing(Crossing(start), every);
            int[] left = [.. missing.Where(batch => !isUnderWay(batch % shard.Count))];

            // They may have left it between the two questions.
            left = store.Missing(Crossing(start), left);
            if (left.Length > 0)
            {
                Leave(left, start);
            }
            else if (missing.Length > 0)
            {
                cancellation.WaitHandle.WaitOne(Pause);
            }
            else if (store.TryContinue(Crossing(start), all, every))
            {
                break;
            }
            else
            {
                // Damaged files are gone now; one that cannot be read just now is not asked for without a pause.
                cancellation.WaitHandle.WaitOne(Pause);
            }
        }

        return start;
    }

    /// <summary>Runs some batches up to the last place, and leaves at each what is not there yet.</summary>
    private void Leave(int[] some, int last)
    {
        int[] ahead = [.. _starts.Where(start => start <= last)];
        int complete = ahead.TakeWhile(start => store.Missing(Crossing(start), some).Length == 0).Count();
        if (some.Length == 0 || complete == ahead.Length)
        {
            return;
        }

        using SliceRunner runs = runner(some);
        int next = complete > 0 && store.TryContinue(Crossing(ahead[complete - 1]), runs, some) ? ahead[complete - 1] : 0;
        for (; next < ahead[^1]; next++)
        {
            runs.Run(stages[next], isObserved: false).Dispose();
            if (ahead.Contains(next + 1))
            {
                foreach (string value in Crossing(next + 1))
                {
                    store.Keep(value, runs.Kept[value], some);
                }
            }
        }
    }

    /// <summary>The values that slices before a stage keep for it and later ones.</summary>
    private string[] Crossing(int stage)
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
