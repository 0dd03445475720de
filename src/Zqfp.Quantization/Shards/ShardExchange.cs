using System.Diagnostics;
using System.Globalization;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// What shards give each other stage by stage where layers are calibrated on quantized ones: each runs its share of the windows through
/// every stage and leaves what the stage's layers read; each layer is quantized by one shard, which sums up all windows in their order,
/// as a single process does; and all wait for the layers of a stage before they run the next.
/// </summary>
/// <param name="shard">Which shard this is.</param>
/// <param name="batches">Number of batches.</param>
/// <param name="folder">The work folder.</param>
/// <param name="keyOf">The key of a layer, which holds all that its stage depends on.</param>
/// <param name="locks">This shard in the work folder, announced.</param>
/// <param name="patience">How long shards that are not under way are waited for.</param>
/// <param name="observer">Told what is waited for.</param>
/// <param name="cancellation">Ends the waiting.</param>
internal sealed class ShardExchange(
    Shard shard, int batches, string folder, Func<LinearLayer, LayerKey> keyOf, ShardLocks locks, TimeSpan patience, IJobObserver observer,
    CancellationToken cancellation)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Glance = TimeSpan.FromSeconds(1);

    private readonly List<(BoundaryStore Store, string[] Names)> _left = [];

    // Shards beyond the number of batches have nothing to do.
    private readonly int _count = Math.Min(shard.Count, batches);

    /// <summary>The batches of this shard.</summary>
    public IReadOnlyList<int> Own { get; } =
        [.. Enumerable.Range(0, batches).Where(batch => batch % Math.Min(shard.Count, batches) == shard.Index)];

    /// <summary>Whether this shard quantizes a layer of a stage; each shard gets one in turn, across stages.</summary>
    public bool Quantizes(CalibrationStage stage, int index, LinearLayer layer) =>
        ShardOf(stage, index, layer) == shard.Index && layer.SharesWeightOf is null;

    /// <summary>Leaves what this shard's windows gave.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="side">Which run it is of.</param>
    /// <param name="values">Its values.</param>
    public void Leave(CalibrationStage stage, string side, StageValues values)
    {
        BoundaryStore store = Store(stage, side);
        foreach ((string name, BatchValues value) in values.All)
        {
            store.Keep(name, value, Own);
        }

        _left.Add((store, [.. values.All.Keys]));
    }

    /// <summary>What the windows of all shards gave.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="index">Its number.</param>
    /// <param name="side">Which run it is of.</param>
    /// <param name="names">The values.</param>
    /// <param name="create">Makes a value of all batches.</param>
    /// <exception cref="ZqfpException">
    /// ZQFP4010: a shard is not there; ZQFP4011: what one left is gone; ZQFP0007: it cannot be read.
    /// </exception>
    public StageValues Gather(CalibrationStage stage, int index, string side, IReadOnlyList<string> names, Func<BatchValues> create)
    {
        BoundaryStore store = Store(stage, side);
        int[] every = [.. Enumerable.Range(0, batches)];
        Dictionary<string, BatchValues> all = new(StringComparer.Ordinal);
        try
        {
            foreach (string name in names)
            {
                BatchValues? value;
                do
                {
                    WaitFor(stage, index, () => [.. store.Missing([name], every).Select(batch => batch % _count).Distinct()]);
                    value = store.TryRead(name, every, create);
                }
                while (value is null);
                all.Add(name, value);
            }

            return new StageValues(all, [.. all.Values]);
        }
        catch
        {
            all.Values.ToList().ForEach(value => value.Dispose());
            throw;
        }
    }

    /// <summary>Waits until the layers of a stage are there; what its layers read is not needed any more then.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="index">Its number.</param>
    /// <param name="isThere">Looks for a layer.</param>
    /// <exception cref="ZqfpException">ZQFP4010: a shard is not there; ZQFP4011: what this one left is gone.</exception>
    public void Finish(CalibrationStage stage, int index, Func<LinearLayer, bool> isThere)
    {
        WaitFor(stage, index, () =>
        [
            .. stage.Layers.Where(layer => layer.SharesWeightOf is null && !isThere(layer))
                .Select(layer => ShardOf(stage, index, layer))
                .Distinct()
        ]);
        _left.Clear();
    }

    /// <summary>Removes what this shard left for a stage that is finished.</summary>
    public void Remove(CalibrationStage stage, string side, IReadOnlyList<string> names) => Store(stage, side).Remove(names, Own);

    private int ShardOf(CalibrationStage stage, int index, LinearLayer layer) =>
        (index + stage.Layers.Where(other => other.SharesWeightOf is null && other.JoinedTo is null).ToList()
            .FindIndex(other => other.Name == layer.Matrix)) % _count;

    private BoundaryStore Store(CalibrationStage stage, string side) => new(folder, $"{keyOf(stage.Layers[0]).Hash}|{side}");

    private void WaitFor(CalibrationStage stage, int index, Func<int[]> missing)
    {
        var alone = Stopwatch.StartNew();
        var glance = Stopwatch.StartNew();
        int? told = null;
        for (int[] left = missing(); left.Length > 0; left = missing())
        {
            cancellation.ThrowIfCancellationRequested();
            int? absent = left.Where(other => other != shard.Index && !locks.IsUnderWay(other)).Cast<int?>().FirstOrDefault();
            if (absent is null)
            {
                alone.Restart();
                told = null;
            }
            else if (alone.Elapsed > patience)
            {
                throw new ZqfpException("ZQFP4010", string.Create(CultureInfo.InvariantCulture,
                    $"Shard {shard} needs what shard {shard with { Index = absent.Value }} has not left yet for "
                    + $"'{stage.Layers[0].DisplayName}', and that one is not running. Start it, and this one again: finished layers are "
                    + $"kept."), folder);
            }
            else if (alone.Elapsed > Glance && told != absent)
            {
                told = absent;
                observer.Note($"Waiting for shard {shard with { Index = absent.Value }}, which is not running.");
            }

            if (glance.Elapsed > Glance)
            {
                glance.Restart();
                RequireAnEnd(stage, index, left, missing);
            }

            cancellation.WaitHandle.WaitOne(Pause);
        }
    }

    /// <summary>
    /// Refuses to wait for what no shard that runs would ever leave: one whose own values are gone waits for others as they do for it, and
    /// so does one that makes a layer again which the others had when they went on.
    /// </summary>
    private void RequireAnEnd(CalibrationStage stage, int index, int[] left, Func<int[]> missing)
    {
        bool isGone = left.Contains(shard.Index) || _left.Any(entry => entry.Store.Missing(entry.Names, Own).Length > 0);
        int[] beyond = [.. left.Where(other => other != shard.Index && locks.IsBeyond(other, index))];

        // They may have left it between the two questions.
        int? gone = isGone ? shard.Index : beyond.Intersect(beyond.Length > 0 ? missing() : []).Cast<int?>().FirstOrDefault();
        if (gone is { } one)
        {
            throw new ZqfpException("ZQFP4011",
                $"What shard {shard with { Index = one }} had left for '{stage.Layers[0].DisplayName}' is not in the work folder any more. "
                + "Start that shard again, and this one: finished layers are kept.", folder);
        }
    }
}
