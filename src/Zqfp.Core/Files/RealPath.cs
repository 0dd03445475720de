namespace Zqfp;

/// <summary>Where a path leads, links followed.</summary>
internal static class RealPath
{
    private static StringComparison Comparison =>
        OperatingSystem.IsWindows() || OperatingSystem.IsMacOS() ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;

    /// <summary>The full path with every link in it followed; what does not exist stays as it is.</summary>
    public static string Of(string path)
    {
        string full = Path.GetFullPath(path);
        string real = Path.GetPathRoot(full)!;
        foreach (string part in full[real.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))
        {
            real = Path.Combine(real, part);
            FileSystemInfo? target = Path.Exists(real) || new FileInfo(real).LinkTarget is not null
                ? new FileInfo(real).ResolveLinkTarget(returnFinalTarget: true)
                : null;
            real = target?.FullName ?? real;
        }

        return real;
    }

    /// <summary>Whether two paths name the same file.</summary>
    public static bool AreSame(string one, string other) => string.Equals(Of(one), Of(other), Comparison);
}
