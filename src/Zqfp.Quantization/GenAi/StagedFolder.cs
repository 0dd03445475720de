namespace Zqfp.Quantization;

/// <summary>
/// Files on their way into a folder. They are written beside each other in a folder of their own and moved into place together; where a
/// move fails, what was there before is put back. Other files of the folder stay.
/// </summary>
internal sealed class StagedFolder : IDisposable
{
    private const string New = "new";
    private const string Old = "old";

    private const string Prefix = ".zqfp";

    private readonly string _target;
    private readonly string _staging;
    private readonly string _replaced;
    private bool _holdsOldFiles;

    /// <summary>Begins writing into <paramref name="target"/>, which is made where it is missing.</summary>
    /// <exception cref="IOException">The folder cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public StagedFolder(string target)
    {
        _target = Path.GetFullPath(target);
        string temporary = NewFile.TemporaryName(Path.Combine(_target, Prefix));
        _staging = Path.Combine(temporary, New);
        _replaced = Path.Combine(temporary, Old);
        Directory.CreateDirectory(_staging);
        Directory.CreateDirectory(_replaced);
    }

    /// <summary>
    /// Ends what killed writers of a folder began: older files that were on their way out come back where the new ones did not all get in,
    /// and the rest goes. Only the holder of the folder's lock may.
    /// </summary>
    /// <exception cref="IOException">A file cannot be put back; it stays where it is.</exception>
    /// <exception cref="UnauthorizedAccessException">A file may not be put back; it stays where it is.</exception>
    public static void Recover(string target)
    {
        foreach (string temporary in Leftovers.Folders(target).Where(path => NewFile.IsTemporary(Path.GetFileName(path), Prefix)))
        {
            // The last new file that is moved is the last that is missing there: while one is, the folder is of both kinds.
            if (Names(Path.Combine(temporary, New)).Length > 0)
            {
                foreach (string name in Names(Path.Combine(temporary, Old)))
                {
                    File.Move(Path.Combine(temporary, Old, name), Path.Combine(target, name), overwrite: true);
                }
            }

            Leftovers.TryDeleteFolder(temporary);
        }
    }

    /// <summary>Where a file that will be <paramref name="name"/> in the folder is written until then.</summary>
    public string PathOf(string name)
    {
        string path = Path.Combine(_staging, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return path;
    }

    /// <summary>Adds a copy of a file; one of that name already added is replaced.</summary>
    public void Copy(string source, string name)
    {
        string path = PathOf(name);
        File.Copy(source, path, overwrite: true);
        if ((File.GetAttributes(path) & FileAttributes.ReadOnly) != 0)
        {
            File.SetAttributes(path, File.GetAttributes(path) & ~FileAttributes.ReadOnly);
        }
    }

    /// <summary>Adds a text.</summary>
#pragma warning disable RS0030 // Nobody reads this folder before all of it is moved into place.
    public void Write(string name, string content) => File.WriteAllText(PathOf(name), content);
#pragma warning restore RS0030

    /// <summary>Moves every file into place, <paramref name="last"/> behind all others; an older one of that name goes first.</summary>
    /// <exception cref="IOException">A file cannot be moved. The folder is as it was.</exception>
    /// <exception cref="UnauthorizedAccessException">A file may not be moved. The folder is as it was.</exception>
    public void Commit(string last)
    {
        string[] names = Names(_staging);
        Stack<Action> undo = new();
        try
        {
            foreach (string name in names.OrderByDescending(name => name == last))
            {
                Replace(name, undo);
            }

            foreach (string name in names.OrderBy(name => name == last))
            {
                string path = Path.Combine(_target, name);
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                File.Move(Path.Combine(_staging, name), path);
                undo.Push(() => File.Delete(path));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            foreach (Action step in undo)
            {
                Undo(step);
            }

            throw;
        }
    }

    public void Dispose()
    {
        // What could not be put back is the only copy of somebody's file.
        if (!_holdsOldFiles)
        {
            Leftovers.TryDeleteFolder(Path.GetDirectoryName(_staging)!);
        }
    }

    private static string[] Names(string folder) => Directory.Exists(folder)
        ? [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(folder, path))
            .Order(StringComparer.Ordinal)]
        : [];

    /// <summary>One step back; where it fails, the others are still taken, and the older files are kept where they are.</summary>
    private void Undo(Action step)
    {
        try
        {
            step();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _holdsOldFiles = true;
        }
    }

    /// <summary>Moves an older file out of the way.</summary>
    private void Replace(string name, Stack<Action> undo)
    {
        string path = Path.Combine(_target, name);
        if (!File.Exists(path))
        {
            return;
        }

        string kept = Path.Combine(_replaced, name);
        Directory.CreateDirectory(Path.GetDirectoryName(kept)!);
        File.Move(path, kept);
        undo.Push(() => File.Move(kept, path));
    }
}
