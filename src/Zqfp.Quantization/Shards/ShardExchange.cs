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
/// <param name="isUnderWay">Whether a process is the shard of an index just now.</param>
/// <param name="patience">How long shards that are not under way are waited for.</param>
/// <param name="cancellation">Ends the waiting.</param>
internal sealed class ShardExchange(
    Shard shard, int batches, string folder, Func<LinearLayer, LayerKey> keyOf, Func<int, bool> isUnderWay, TimeSpan patience,
    CancellationToken cancellation)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

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
    }

    /// <summary>What the windows of all shards gave.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="side">Which run it is of.</param>
    /// <param name="names">The values.</param>
    /// <param name="create">Makes a value of all batches.</param>
    /// <exception cref="ZqfpException">ZQFP4010: a shard is not there.</exception>
    public StageValues Gather(CalibrationStage stage, string side, IReadOnlyList<string> names, Func<BatchValues> create)
    {
        BoundaryStore store = Store(stage, side);
        int[] every = [.. Enumerable.Range(0, batches)];
        WaitFor(stage, () => [.. store.Missing(names, every).Select(batch => batch % _count)]);
        Dictionary<string, BatchValues> all = new(StringComparer.Ordinal);
        foreach (string name in names)
        {
            BatchValues value = create();
            all.Add(name, value);
            store.Fill(name, value, every);
        }

        return new StageValues(all, [.. all.Values]);
    }

    /// <summary>Waits until the layers of a stage are there; what its layers read is not needed any more then.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="index">Its number.</param>
    /// <param name="isThere">Looks for a layer.</param>
    /// <exception cref="ZqfpException">ZQFP4010: a shard is not there.</exception>
    public void Finish(CalibrationStage stage, int index, Func<LinearLayer, bool> isThere)
    {
        WaitFor(stage, () =>
        [
            .. stage.Layers.Where(layer => layer.SharesWeightOf is null && !isThere(layer)).Select(layer => ShardOf(stage, index, layer))
        ]);
    }

    /// <summary>Removes what this shard left for a stage that is finished.</summary>
    public void Remove(CalibrationStage stage, string side, IReadOnlyList<string> names) => Store(stage, side).Remove(names, Own);

    private int ShardOf(CalibrationStage stage, int index, LinearLayer layer) =>
        (index + stage.Layers.Where(other => other.SharesWeightOf is null).ToList().FindIndex(other => other.Name == layer.Name))
            % _count;

    private BoundaryStore Store(CalibrationStage stage, string side) => new(folder, $"{keyOf(stage.Layers[0]).Hash}|{side}");

    private void WaitFor(CalibrationStage stage, Func<int[]> missing)
    {
        var alone = Stopwatch.StartNew();
        for (int[] left = missing(); left.Length > 0; left = missing())
        {
            cancellation.ThrowIfCancellationRequested();
            int? absent = left.Where(index => index != shard.Index && !isUnderWay(index)).Cast<int?>().FirstOrDefault();
            if (absent is null)
            {
                alone.Restart();
            }
            else if (alone.Elapsed > patience)
            {
                throw new ZqfpException("ZQFP4010", string.Create(CultureInfo.InvariantCulture,
                    $"Shard {shard} needs what shard {shard with { Index = absent.Value }} has not left yet for "
                    + $"'{stage.Layers[0].DisplayName}', and that one is not running. Start it, and this one again: finished layers are "
                    + $"kept."), folder);
            }

            cancellation.WaitHandle.WaitOne(Pause);
        }
    }
}
