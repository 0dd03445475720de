using System.Globalization;

namespace Zqfp.Quantization;

/// <summary>
/// Who may be in a work folder: one run that removes what others left there, or any number of shards, each once. A run holds the lock of
/// the folder as long as it lasts; a shard has its own before it passes through the folder's. Whoever waits for a shard holds nothing that
/// another needs: that one may be waiting for shards that are to begin.
/// </summary>
internal static class WorkFolderLocks
{
    private const string Whole = "zqfp";
    private const string Talk = "zqfp-shards";
    private const string OfOne = "zqfp-shard-";
    private const string Of = "-of-";

    /// <summary>Waits until this process is alone in the folder.</summary>
    /// <exception cref="ZqfpException">ZQFP0007: a lock cannot be created.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for meanwhile.</exception>
    public static OutputLocks OfRun(string folder, IJobObserver observer, CancellationToken cancellation)
    {
        while (true)
        {
            OutputLocks whole = Acquire(folder, Whole, observer, cancellation);
            try
            {
                if (Usable(folder, () => Running(folder)) is not { } shard)
                {
                    Noticed(folder).ToList().ForEach(killed => ShardNotice.Remove(PathOf(folder, killed)));
                    return whole;
                }

                whole.Dispose();
                Acquire(folder, shard, observer, cancellation).Dispose();
            }
            catch
            {
                whole.Dispose();
                throw;
            }
        }
    }

    /// <summary>
    /// Waits until no run has the folder and no other process does the same shard; from then on it counts as running its windows.
    /// </summary>
    /// <exception cref="ZqfpException">ZQFP0007: the folder or a lock cannot be created.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for meanwhile.</exception>
    public static ShardLocks OfShard(string folder, Shard shard, IJobObserver observer, CancellationToken cancellation)
    {
        // The folder stays: another shard may be about to write into it.
        Usable(folder, () => Directory.CreateDirectory(folder));
        OutputLocks own = Acquire(folder, Path.GetFileName(PathOf(folder, shard)), observer, cancellation);
        try
        {
            using OutputLocks whole = Acquire(folder, Whole, observer, cancellation);

            // What a killed process said of this shard must be gone before this one counts as running.
            ShardNotice.Remove(PathOf(folder, shard));
            return new ShardLocks(folder, shard, own,
                Acquire(folder, Path.GetFileName(ShardLocks.ForwardPath(folder, shard)), observer, cancellation));
        }
        catch
        {
            own.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Held for the moment in which a shard says what it does, so that of two that do not fit together the second one knows.
    /// </summary>
    /// <exception cref="ZqfpException">ZQFP0007: the lock cannot be created.</exception>
    public static OutputLocks OfTalk(string folder, IJobObserver observer, CancellationToken cancellation) =>
        Acquire(folder, Talk, observer, cancellation);

    /// <summary>The path that a lock of the folder protects.</summary>
    public static string PathOf(string folder, Shard? shard) => Path.Combine(folder, shard is null
        ? Whole
        : string.Create(CultureInfo.InvariantCulture, $"{OfOne}{shard.Index + 1}{Of}{shard.Count}"));

    /// <summary>The shards that said of themselves what they do; killed ones among them.</summary>
    /// <exception cref="ZqfpException">ZQFP0007: the folder cannot be read.</exception>
    public static IReadOnlyList<Shard> Noticed(string folder) =>
    [
        .. Usable(folder, () => Directory.GetFiles(folder, OfOne + "*" + ShardNotice.Extension)).Select(Named).OfType<Shard>(),
    ];

    private static Shard? Named(string path)
    {
        string[] parts = Path.GetFileNameWithoutExtension(path)[OfOne.Length..].Split(Of);
        return parts is [var one, var all] && int.TryParse(one, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            && int.TryParse(all, NumberStyles.None, CultureInfo.InvariantCulture, out int count)
                ? new Shard(number - 1, count)
                : null;
    }

    /// <summary>The name of what a running shard holds, or null; what killed ones left goes.</summary>
    private static string? Running(string folder)
    {
        foreach (string path in Directory.GetFiles(folder, OfOne + "*" + CrossProcessLock.Extension))
        {
            string name = Path.GetFileNameWithoutExtension(path);
            using var stale = CrossProcessLock.TryAcquire(path);
            if (stale is null)
            {
                return name;
            }

            Leftovers.RemoveOf(Path.Combine(folder, name));
        }

        return null;
    }

    private static T Usable<T>(string folder, Func<T> use)
    {
        try
        {
            return use();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unusable(folder, e);
        }
    }

    private static OutputLocks Acquire(string folder, string name, IJobObserver observer, CancellationToken cancellation)
    {
        try
        {
            return OutputLocks.Acquire([Path.Combine(folder, name)], line => observer.Note(line), cancellation);
        }
        catch (ZqfpException e) when (e.Code == OutputLocks.CannotLock)
        {
            throw Unusable(folder, e);
        }
    }

    private static ZqfpException Unusable(string folder, Exception e) =>
        new("ZQFP0007", $"The folder of --work cannot be used: {e.Message}", folder, e);
}
