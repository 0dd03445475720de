namespace Zqfp.Build.Tasks;

/// <summary>
/// Which metadata a <c>ZqfpModel</c> may have: the options, what the SDK and editors put on items, and what begins with an underscore,
/// which is for targets of the project's own.
/// </summary>
internal static class KnownMetadata
{
    private static readonly HashSet<string> OfItems = new(StringComparer.OrdinalIgnoreCase)
    {
        "Link", "LinkBase", "DependentUpon", "Visible", "InProject", "SubType", "Generator", "LastGenOutput", "CustomToolNamespace",
        "DesignTime", "AutoGen",
        "CopyToOutputDirectory", "CopyToPublishDirectory", "ExcludeFromSingleFile", "TargetPath", "Pack", "PackagePath",
        "PackageCopyToOutput", "BuildAction",
        "IsImplicitlyDefined", "OriginalItemSpec", "Private", "Publish", "Watch", "Condition",
    };

    private static readonly HashSet<string> Options =
        new(OptionTable.InProjects.Select(option => option.Metadata!), StringComparer.OrdinalIgnoreCase);

    /// <summary>Whether metadata of this name means something.</summary>
    public static bool Has(string name) =>
        name.StartsWith("_", StringComparison.Ordinal)
        || name.StartsWith("MSBuild", StringComparison.OrdinalIgnoreCase)
        || name.StartsWith("DefiningProject", StringComparison.OrdinalIgnoreCase)
        || OfItems.Contains(name)
        || Options.Contains(name);

    /// <summary>" Did you mean 'OPTION'?", or nothing.</summary>
    public static string Question(string name) => Spelling.Question(name, Options.Append("Link"));
}
