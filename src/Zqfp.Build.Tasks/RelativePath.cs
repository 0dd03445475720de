namespace Zqfp.Build.Tasks;

/// <summary>Paths that are the same on every machine.</summary>
internal static class RelativePath
{
    /// <summary>The way from a folder to a file, with slashes; the full path where there is none, as between drives.</summary>
    public static string Of(string folder, string file)
    {
        string[] from = Parts(folder);
        string[] to = Parts(file);
        int common = from.Zip(to, (one, other) => one == other).TakeWhile(same => same).Count();
        return string.Join("/", Path.GetPathRoot(Path.GetFullPath(folder)) == Path.GetPathRoot(Path.GetFullPath(file))
            ? Enumerable.Repeat("..", from.Length - common).Concat(to.Skip(common))
            : to);
    }

    private static string[] Parts(string path) => Path.GetFullPath(path).Replace('\\', '/').Split(
        ['/'], StringSplitOptions.RemoveEmptyEntries);
}
