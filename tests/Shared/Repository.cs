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

    private static string ReferenceRoot { get; } =
        Environment.GetEnvironmentVariable("ZQFP_REFERENCE_DATA")
            ?? System.IO.Path.GetFullPath(System.IO.Path.Combine(Root, "..", "shared"));
}
