namespace Zqfp;

/// <summary>
/// Writes a file whole or not at all: readers see the old content or the new, whatever ends the process, and processes that write the same
/// file do not meet.
/// </summary>
internal static class WholeFile
{
    /// <summary>What stands at the end of the name of a file that is being written; its own name comes first.</summary>
    public const string Temporary = ".tmp";

    /// <summary>Writes a text in UTF-8. The folder is made where it is missing.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    public static void WriteText(string path, string content) => Write(path, temporary => File.WriteAllText(temporary, content));

    /// <summary>Writes what <paramref name="write"/> puts into the file whose path it is given.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    internal static void Write(string path, Action<string> write)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        string temporary = $"{path}.{Guid.NewGuid():N}{Temporary}";
        try
        {
            write(temporary);
            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }
}
