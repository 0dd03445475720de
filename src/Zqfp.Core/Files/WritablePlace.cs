namespace Zqfp;

/// <summary>Finds out before the work, not after it, that a file or a folder cannot be written. Nothing stays.</summary>
internal static class WritablePlace
{
    /// <summary>Why no file of this path can be written, as a sentence; null where one can.</summary>
    public static string? ProblemOfFile(string path) => Directory.Exists(path)
        ? $"'{path}' is a folder."
        : ProblemOfFolder(Path.GetDirectoryName(Path.GetFullPath(path)) ?? path);

    /// <summary>Why no file can be written in this folder, as a sentence; null where one can. It need not be there yet.</summary>
    public static string? ProblemOfFolder(string path)
    {
        // Tried in the folder, or in the nearest one above it that exists.
        string folder = Path.GetFullPath(path);
        while (!Directory.Exists(folder) && Path.GetDirectoryName(folder) is { } above)
        {
            if (File.Exists(folder))
            {
                return $"'{folder}' is a file.";
            }

            folder = above;
        }

        string probe = NewFile.TemporaryName(Path.Combine(folder, Leftovers.Probe));
        try
        {
            new FileStream(probe, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose).Dispose();
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e is FileNotFoundException
                ? $"No file can be created in '{folder}'."
                : e.Message.Replace(probe, folder, StringComparison.Ordinal);
        }
    }
}
