namespace Zqfp;

/// <summary>
/// Keeps a folder of results, each in a file named by its key, from growing without end. A result that is used gets the present time;
/// of those that the present work does not use, the longest unused go first. Whatever else lies in the folder is somebody's own and stays:
/// people name the folder, and it may be the one of their model.
/// </summary>
/// <param name="folder">The folder.</param>
/// <param name="extension">What stands behind the key, a SHA-256 hash, in the names of results, such as <c>.json</c>.</param>
internal sealed class KeptFiles(string folder, string extension)
{
    private const int KeyDigits = 64;

    /// <summary>What was not used for so long goes in any case.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromDays(30);

    /// <summary>
    /// What was used within so short a time stays in any case: another process may be about to read it, or somebody to go on with a stopped
    /// run.
    /// </summary>
    public static readonly TimeSpan Shortest = TimeSpan.FromDays(1);

    private readonly HashSet<string> _used = new(StringComparer.Ordinal);

    /// <summary>Remembers that a file is in use, and writes that down as its time.</summary>
    public void Use(string path)
    {
        _used.Add(Path.GetFullPath(path));
        try
        {
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It may then go earlier than others, and is made again.
        }
    }

    /// <summary>
    /// Removes what is unused for too long, and the longest unused of what takes more than <paramref name="bytes"/> together.
    /// </summary>
    /// <param name="bytes">Bytes that unused files may take.</param>
    /// <param name="isLocked">Whether nobody else writes in the folder, so that what is half-written is nobody's any more.</param>
    public void Prune(long bytes, bool isLocked = false)
    {
        DateTime now = DateTime.UtcNow;
        IEnumerable<Entry> unused = Entries(extension).Where(file => !_used.Contains(file.Path)).OrderByDescending(file => file.Used);
        foreach (Entry file in unused)
        {
            bytes -= file.Bytes;
            TimeSpan age = now - file.Used;
            if (age > Longest || (bytes < 0 && age > Shortest))
            {
                Leftovers.TryDelete(file.Path);
            }
        }

        RemoveLeftovers(isLocked);
    }

    /// <summary>Removes what processes that were killed were writing.</summary>
    /// <param name="isLocked">As of <see cref="Prune"/>.</param>
    public void RemoveLeftovers(bool isLocked)
    {
        foreach (Entry file in Entries(NewFile.Temporary).Where(
            file => NewFile.IsTemporary(Path.GetFileName(file.Path)) && (isLocked || DateTime.UtcNow - file.Used > Leftovers.Shared)))
        {
            Leftovers.TryDelete(file.Path);
        }
    }

    /// <summary>Removes all of them, and what is half-written. Only who uses the folder alone may.</summary>
    public void RemoveAll()
    {
        foreach (Entry file in Entries(extension))
        {
            Leftovers.TryDelete(file.Path);
        }

        RemoveLeftovers(isLocked: true);
    }

    /// <summary>Bytes of the files in use.</summary>
    public long UsedBytes() => Entries(extension).Where(file => _used.Contains(file.Path)).Sum(file => file.Bytes);

    private Entry[] Entries(string end)
    {
        FileInfo[] files;
        try
        {
            files = new DirectoryInfo(folder).GetFiles("*" + end);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // There is no such folder, or there is none any more.
            return [];
        }

        List<Entry> entries = [];
        foreach (FileInfo file in files.Where(file => IsOurs(file.Name)))
        {
            try
            {
                entries.Add(new Entry(file.FullName, file.Length, file.LastWriteTimeUtc));
            }
            catch (IOException)
            {
                // Another process has removed it.
            }
        }

        return [.. entries];
    }

    /// <summary>A key and the extension; behind those, what is being written has more.</summary>
    private bool IsOurs(string name) =>
        name.Length > KeyDigits
        && name.AsSpan(KeyDigits).StartsWith(extension, StringComparison.Ordinal)
        && name[..KeyDigits].All(char.IsAsciiHexDigitLower);

    private sealed record Entry(string Path, long Bytes, DateTime Used);
}
