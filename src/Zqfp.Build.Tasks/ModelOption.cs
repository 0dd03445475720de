namespace Zqfp.Build.Tasks;

/// <summary>The options of <see cref="OptionTable"/> as metadata of a <c>ZqfpModel</c>.</summary>
internal static class ModelOption
{
    /// <summary>What <c>dotnet zqfp quantize</c> takes, in the order it is passed.</summary>
    public static IReadOnlyList<ToolOption> Quantize { get; } =
    [
        .. OptionTable.InRecipes.Where(option => option.IsOf(OptionCommands.Quantize))
    ];

    /// <summary>What <c>dotnet zqfp gate</c> takes, in the order it is passed.</summary>
    public static IReadOnlyList<ToolOption> Gate { get; } = [.. OptionTable.InRecipes.Where(option => option.IsOf(OptionCommands.Gate))];

    /// <summary>The property that holds the default, and that overrides the metadata when given on the command line.</summary>
    public static string PropertyOf(ToolOption option) => "Zqfp" + option.Metadata;

    /// <summary>The values to pass for what the metadata says.</summary>
    public static IEnumerable<string> Values(ToolOption option, string metadata) =>
        option.IsList ? metadata.Split(';').Select(value => value.Trim()).Where(value => value.Length > 0) : [metadata];
}
