using System.Text;

namespace Zqfp.Build.Tasks;

/// <summary>Small files whose time means something.</summary>
internal static class TextFile
{
    private const string Temporary = ".tmp";
    private const int GuidDigits = 32;

    /// <summary>Builds of several configurations write side by side; no write takes so long.</summary>
    private static readonly TimeSpan OldEnough = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Writes a file only if its content differs, so that an unchanged file keeps its time and no reader sees half of it.
    /// </summary>
    public static void WriteIfDifferent(string path, string content)
    {
        if (!Has(path, content))
        {
            Write(path, content);
        }
    }

    /// <summary>Whether a file is there and has this content.</summary>
    public static bool Has(string path, string content) => File.Exists(path) && File.ReadAllText(path) == content;

    /// <summary>
    /// Writes a file under a name that nobody can foresee and moves it into place; what killed builds left of it goes.
    /// </summary>
    public static void Write(string path, string content)
    {
        string folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        RemoveLeftovers(folder, Path.GetFileName(path));
        string temporary = path + "." + Guid.NewGuid().ToString("N") + Temporary;
        try
        {
            using (var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None))
            {
                byte[] bytes = Encoding.UTF8.GetBytes(content);
                file.Write(bytes, 0, bytes.Length);
                file.Flush(flushToDisk: true);
            }

            if (File.Exists(path))
            {
                File.Replace(temporary, path, destinationBackupFileName: null);
            }
            else
            {
                File.Move(temporary, path);
            }
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private static void RemoveLeftovers(string folder, string name)
    {
        foreach (FileInfo file in new DirectoryInfo(folder).GetFiles(name + ".*" + Temporary)
            .Where(file => file.Name.Length == name.Length + 1 + GuidDigits + Temporary.Length
                && DateTime.UtcNow - file.LastWriteTimeUtc > OldEnough))
        {
            try
            {
                file.Delete();
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // A later build removes it.
            }
        }
    }
}
