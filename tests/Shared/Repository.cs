using System.Reflection;

namespace Zqfp.Tests;

/// <summary>Places in the checkout, and the reference data that may stand beside it.</summary>
internal static class Repository
{
    /// <summary>The checkout's root folder.</summary>
    public static string Root { get; } = typeof(Repository).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(attribute => attribute.Key == "RepositoryRoot").Value!;

    /// <summary>A file or folder of the checkout.</summary>
    public static string Path(string relative) => System.IO.Path.Combine(Root, relative);

    /// <summary>
    /// A file or folder of the reference data: <c>ZQFP_REFERENCE_DATA</c>, else the folder <c>shared</c> beside the checkout.
    /// </summary>
    public static string Reference(string relative) => System.IO.Path.Combine(ReferenceRoot, relative);

    /// <summary>All files of the checkout, but for what is built and what belongs to git.</summary>
    public static IEnumerable<string> Files(string pattern) => Files(Root, pattern);

    private static IEnumerable<string> Files(string folder, string pattern) => Directory.EnumerateFiles(folder, pattern)
        .Concat(Directory.EnumerateDirectories(folder)
            .Where(inner => System.IO.Path.GetFileName(inner) is not ("artifacts" or "bin" or "obj" or ".git"))
            .SelectMany(inner => Files(inner, pattern)));

    private static string ReferenceRoot { get; } =
        Environment.GetEnvironmentVariable("ZQFP_REFERENCE_DATA")
            ?? System.IO.Path.GetFullPath(System.IO.Path.Combine(Root, "..", "shared"));
}
