using System.Globalization;

namespace Zqfp.Quantization;

/// <summary>
/// Who may be in a work folder: one run that removes what others left there, or any number of shards, each once. A shard takes the lock of
/// the folder only to take its own, so that none begins while a run has the folder; a run takes the folder's lock and then waits for the
/// shards that are there.
/// </summary>
internal sealed class WorkFolderLocks : IDisposable
{
    private const string Whole = "zqfp";
    private const string OfOne = "zqfp-shard-";

    private readonly List<OutputLocks> _locks = [];

    private WorkFolderLocks()
    {
    }

    /// <summary>Waits until this process is alone in the folder.</summary>
    /// <exception cref="ZqfpException">ZQFP0007: a lock cannot be created.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for meanwhile.</exception>
    public static WorkFolderLocks OfRun(string folder, IJobObserver observer, CancellationToken cancellation)
    {
        var locks = new WorkFolderLocks();
        try
        {
            locks._locks.Add(Acquire(folder, Whole, observer, cancellation));
            foreach (string shard in Directory.GetFiles(folder, OfOne + "*" + CrossProcessLock.Extension))
            {
                Acquire(folder, Path.GetFileNameWithoutExtension(shard), observer, cancellation).Dispose();
            }

            return locks;
        }
        catch
        {
            locks.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Waits until no run has the folder and no other process does the same shard; from then on it counts as running its windows.
    /// </summary>
    /// <exception cref="ZqfpException">ZQFP0007: a lock cannot be created.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for meanwhile.</exception>
    public static ShardLocks OfShard(string folder, Shard shard, IJobObserver observer, CancellationToken cancellation)
    {
        // The folder stays: another shard may be about to write into it.
        Directory.CreateDirectory(folder);
        using OutputLocks whole = Acquire(folder, Whole, observer, cancellation);
        OutputLocks own = Acquire(folder, Path.GetFileName(PathOf(folder, shard)), observer, cancellation);
        try
        {
            return new ShardLocks(folder, shard, own,
                Acquire(folder, Path.GetFileName(ShardLocks.ForwardPath(folder, shard)), observer, cancellation));
        }
        catch
        {
            own.Dispose();
            throw;
        }
    }

    /// <summary>The path that a lock of the folder protects.</summary>
    public static string PathOf(string folder, Shard? shard) => Path.Combine(folder, shard is null
        ? Whole
        : string.Create(CultureInfo.InvariantCulture, $"{OfOne}{shard.Index + 1}-of-{shard.Count}"));

    public void Dispose() => _locks.ForEach(held => held.Dispose());

    private static OutputLocks Acquire(string folder, string name, IJobObserver observer, CancellationToken cancellation)
    {
        try
        {
            return OutputLocks.Acquire([Path.Combine(folder, name)], line => observer.Note(line), cancellation);
        }
        catch (ZqfpException e) when (e.Code == OutputLocks.CannotLock)
        {
            throw new ZqfpException("ZQFP0007", $"The folder of --work cannot be used: {e.Message}", folder, e);
        }
    }
}
