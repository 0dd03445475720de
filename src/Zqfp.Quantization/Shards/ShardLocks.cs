namespace Zqfp.Quantization;

/// <summary>What a shard holds in a work folder: itself, and as long as it runs its share of the windows, that.</summary>
/// <param name="folder">The work folder.</param>
/// <param name="shard">The shard.</param>
/// <param name="own">Its lock.</param>
/// <param name="forward">The lock of its windows.</param>
internal sealed class ShardLocks(string folder, Shard shard, OutputLocks own, OutputLocks forward) : IDisposable
{
    private OutputLocks? _forward = forward;

    /// <summary>The path that the lock of a shard's windows protects.</summary>
    public static string ForwardPath(string folder, Shard shard) => WorkFolderLocks.PathOf(folder, shard) + "-windows";

    /// <summary>Says that this shard's windows are run.</summary>
    public void EndForward()
    {
        _forward?.Dispose();
        _forward = null;
    }

    /// <summary>Whether a process runs the windows of the shard of an index.</summary>
    public bool IsUnderWay(int index) =>
        index != shard.Index && CrossProcessLock.IsHeld(ForwardPath(folder, shard with { Index = index }) + CrossProcessLock.Extension);

    public void Dispose()
    {
        EndForward();
        own.Dispose();
    }
}
