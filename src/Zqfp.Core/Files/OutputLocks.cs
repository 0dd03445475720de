namespace Zqfp;

/// <summary>
/// Makes this process the only writer of some files. Each lock lies beside what it protects, so that every process that writes there meets
/// it, whoever runs it and wherever its temporary files go. Folders made for the locks go again when nothing was written into them.
/// </summary>
internal sealed class OutputLocks : IDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>The code of a lock that cannot be created.</summary>
    public const string CannotLock = "ZQFP0019";

    private const int Attempts = 10;

    private readonly List<CrossProcessLock> _locks = [];
    private readonly List<string> _made = [];

    private OutputLocks()
    {
    }

    /// <summary>
    /// Waits until no other process writes any of the files, and removes what killed writers of them left.
    /// </summary>
    /// <param name="paths">The files; for a folder that one process is to use alone, a file in it.</param>
    /// <param name="waiting">Called with one line when another process is waited for, which it names.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <exception cref="ZqfpException">ZQFP0019: a lock cannot be created.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for meanwhile.</exception>
    public static OutputLocks Acquire(IEnumerable<string> paths, Action<string> waiting, CancellationToken cancellation)
    {
        var locks = new OutputLocks();
        try
        {
            // In one order everywhere, so that two processes never wait for each other.
            foreach (string path in paths.Select(Real).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
            {
                locks.Add(path, waiting, cancellation);
                Leftovers.RemoveOf(path);
            }

            return locks;
        }
        catch
        {
            locks.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        for (int i = _locks.Count - 1; i >= 0; i--)
        {
            _locks[i].Dispose();
        }

        for (int i = _made.Count - 1; i >= 0; i--)
        {
            try
            {
                Directory.Delete(_made[i]);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Something was written there.
            }
        }
    }

    private void Add(string path, Action<string> waiting, CancellationToken cancellation)
    {
        string file = path + CrossProcessLock.Extension;
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                MakeFolder(Path.GetDirectoryName(path)!);
                _locks.Add(CrossProcessLock.Acquire(
                    file,
                    Pause,
                    holder => waiting($"Waiting for another process that writes '{path}'{(holder is null ? "" : $": {holder}")}."),
                    cancellation,
                    $"process {Environment.ProcessId} on {Environment.MachineName}"));
                return;
            }
            catch (DirectoryNotFoundException) when (attempt < Attempts)
            {
                // The process that held the lock made the folder, wrote nothing and removed it.
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new ZqfpException(CannotLock,
                    $"The lock '{file}' cannot be created, without which another process could write the same file: {e.Message} "
                    + "Make the folder writable, or choose another.", path, e);
            }
        }
    }

    private void MakeFolder(string folder)
    {
        List<string> missing = [];
        for (string? parent = folder; parent is not null && !Directory.Exists(parent); parent = Path.GetDirectoryName(parent))
        {
            missing.Add(parent);
        }

        missing.Reverse();
        foreach (string part in missing)
        {
            Directory.CreateDirectory(part);
            _made.Add(part);
        }
    }

    /// <summary>The path by its real folder: a link at the path itself is replaced, not followed.</summary>
    private static string Real(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        return Path.Combine(RealPath.Of(Path.GetDirectoryName(full)!), Path.GetFileName(full));
    }
}
