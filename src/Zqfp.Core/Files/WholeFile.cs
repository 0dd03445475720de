using System.Text;

namespace Zqfp;

/// <summary>
/// Writes a file whole or not at all: readers see the old content or the new, whatever ends the process, and processes that write the same
/// file do not meet.
/// </summary>
internal static class WholeFile
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    /// <summary>
    /// Writes a text in UTF-8. The folder is made where it is missing; what processes that were killed left of this file goes.
    /// </summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    public static void WriteText(string path, string content)
    {
        string full = Path.GetFullPath(path);
        Leftovers.Remove(Path.GetDirectoryName(full)!, Path.GetFileName(full), Leftovers.Shared);
        Write(path, stream => stream.Write(Utf8.GetBytes(content)));
    }

    /// <summary>Writes what <paramref name="write"/> puts into the stream it is given.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    public static void Write(string path, Action<FileStream> write)
    {
        using var file = NewFile.Create(path);
        write(file.Content);
        file.Commit();
    }
}
