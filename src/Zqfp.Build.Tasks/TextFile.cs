namespace Zqfp.Build.Tasks;

/// <summary>Small files whose time means something.</summary>
internal static class TextFile
{
    /// <summary>
    /// Writes a file only if its content differs, so that an unchanged file keeps its time and no reader sees half of it.
    /// </summary>
    public static void WriteIfDifferent(string path, string content)
    {
        if (!File.Exists(path) || File.ReadAllText(path) != content)
        {
            Write(path, content);
        }
    }

    /// <summary>Writes a file under another name and moves it into place.</summary>
    public static void Write(string path, string content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        string temporary = path + "." + Guid.NewGuid().ToString("N") + ".tmp";
        File.WriteAllText(temporary, content);
        if (File.Exists(path))
        {
            File.Delete(path);
        }

        File.Move(temporary, path);
    }
}
