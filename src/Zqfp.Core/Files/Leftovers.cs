namespace Zqfp;

/// <summary>Removes what processes that were killed were writing.</summary>
internal static class Leftovers
{
    /// <summary>
    /// The name of a file that only tries whether a folder takes files; it lives for an instant, and nobody misses it who removes it.
    /// </summary>
    public const string Probe = ".zqfp";

    /// <summary>
    /// Who shares a folder with others that write there may only take what is older than any write between two of its steps.
    /// </summary>
    public static readonly TimeSpan Shared = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Removes temporaries, files and folders, of the file at <paramref name="path"/>. Only the holder of its lock may: what is being
    /// written looks the same.
    /// </summary>
    public static void RemoveOf(string path)
    {
        string full = Path.GetFullPath(path);
        string folder = Path.GetDirectoryName(full)!;
        string name = Path.GetFileName(full);
        Remove(folder, name, TimeSpan.Zero);
        Remove(folder, name + ".data", TimeSpan.Zero);
        Remove(folder, Probe, TimeSpan.Zero);
        foreach (string temporary in Folders(folder).Where(temporary => NewFile.IsTemporary(Path.GetFileName(temporary), name)))
        {
            TryDeleteFolder(temporary);
        }
    }

    /// <summary>Folders in a folder whose names end as those of temporaries.</summary>
    public static string[] Folders(string folder)
    {
        try
        {
            return Directory.GetDirectories(folder, "*" + NewFile.Temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>Deletes a folder with what is in it where that is possible; of a link, the link.</summary>
    public static void TryDeleteFolder(string path)
    {
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is gone, or in use; a later run removes it.
        }
    }

    /// <summary>Removes temporaries that lie in a folder.</summary>
    /// <param name="folder">The folder; it may be missing.</param>
    /// <param name="of">Of which file; null for any.</param>
    /// <param name="age">How old they must be; zero for the holder of the folder's or the file's lock.</param>
    public static void Remove(string folder, string? of, TimeSpan age)
    {
        try
        {
            DateTime now = DateTime.UtcNow;
            foreach (FileInfo file in new DirectoryInfo(folder).EnumerateFiles("*" + NewFile.Temporary)
                .Where(file => NewFile.IsTemporary(file.Name, of) && (age == TimeSpan.Zero || now - file.LastWriteTimeUtc > age)))
            {
                TryDelete(file.FullName);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // There is no such folder, or there is none any more.
        }
    }

    /// <summary>Deletes a file where that is possible; a link goes, not what it points to.</summary>
    public static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Another process reads it, or the folder is read-only; a later run removes it.
        }
    }
}
