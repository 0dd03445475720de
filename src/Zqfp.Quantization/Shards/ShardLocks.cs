using System.Globalization;

namespace Zqfp.Quantization;

/// <summary>What a shard holds in a work folder: itself, and as long as it runs its share of the windows, that.</summary>
/// <param name="folder">The work folder.</param>
/// <param name="shard">The shard.</param>
/// <param name="own">Its lock.</param>
/// <param name="forward">The lock of its windows.</param>
internal sealed class ShardLocks(string folder, Shard shard, OutputLocks own, OutputLocks forward) : IDisposable
{
    private OutputLocks? _forward = forward;
    private ShardNotice? _notice;

    /// <summary>The path that the lock of a shard's windows protects.</summary>
    public static string ForwardPath(string folder, Shard shard) => WorkFolderLocks.PathOf(folder, shard) + "-windows";

    /// <summary>Says that this shard's windows are run.</summary>
    public void EndForward()
    {
        _forward?.Dispose();
        _forward = null;
    }

    /// <summary>Whether a process runs the windows of the shard of an index.</summary>
    public bool IsUnderWay(int index) => IsUnderWay(shard with { Index = index });

    /// <summary>
    /// Says what this shard does, where that is the same as what the others that run say of themselves, and they are of the same number.
    /// </summary>
    /// <exception cref="ZqfpException">ZQFP0044: another does something else; ZQFP0007: the folder cannot be written.</exception>
    public void Announce(ShardNotice notice, IJobObserver observer, CancellationToken cancellation)
    {
        using OutputLocks talk = WorkFolderLocks.OfTalk(folder, observer, cancellation);
        foreach (Shard other in WorkFolderLocks.Noticed(folder).Where(IsUnderWay))
        {
            if (Said(other) is { } said && Difference(notice, other, said) is { } difference)
            {
                throw new ZqfpException("ZQFP0044",
                    $"Shard {other}, which runs in the same work folder, was started with {difference}. Start all shards with the same "
                    + "options, model, text and build of this tool, end those of an earlier attempt, or use another --work folder.",
                    folder);
            }
        }

        _notice = notice;
        notice.Write(WorkFolderLocks.PathOf(folder, shard));
    }

    /// <summary>Says that this shard, which has announced itself, is at a stage.</summary>
    /// <exception cref="ZqfpException">ZQFP0007: the folder cannot be written.</exception>
    public void Reach(int stage) => (_notice! with { Stage = stage }).Write(WorkFolderLocks.PathOf(folder, shard));

    /// <summary>Whether the shard of an index runs and is beyond a stage.</summary>
    public bool IsBeyond(int index, int stage) => IsUnderWay(index) && Said(shard with { Index = index })?.Stage > stage;

    private bool IsUnderWay(Shard other) =>
        other != shard && CrossProcessLock.IsHeld(ForwardPath(folder, other) + CrossProcessLock.Extension);

    private ShardNotice? Said(Shard other) => ShardNotice.Read(WorkFolderLocks.PathOf(folder, other));

    /// <summary>Each number of shards divides windows and layers in its own way, and takes away values that another still reads.</summary>
    private string? Difference(ShardNotice notice, Shard other, ShardNotice said) => other.Count != shard.Count
        ? string.Create(CultureInfo.InvariantCulture, $"another number of shards ({other.Count}; here {shard.Count})")
        : notice.DifferenceFrom(said);

    public void Dispose()
    {
        EndForward();
        ShardNotice.Remove(WorkFolderLocks.PathOf(folder, shard));
        own.Dispose();
    }
}
