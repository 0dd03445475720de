using System.Globalization;

namespace Zqfp.Tool.Tests;

/// <summary>The parts of the documentation and of the build's properties that are made from <see cref="OptionTable"/>.</summary>
internal static class OptionReference
{
    /// <summary>The options of <c>quantize</c> and <c>plan</c>.</summary>
    public static string Quantize() => Table(OptionTable.Of(OptionCommands.Quantizing), ofWhich: null);

    /// <summary>The options of all other commands.</summary>
    public static string Others() =>
        Table(OptionTable.All.Where(option => option.Name.Length > 0 && !option.IsOf(OptionCommands.Quantizing)), Commands);

    /// <summary>The metadata of a <c>ZqfpModel</c>.</summary>
    public static string Metadata()
    {
        IEnumerable<string> rows = OptionTable.InProjects.Select(option => Row(
            $"`{option.Metadata}`", option.Name.Length == 0 ? "" : $"`{option.Name}`", Default(option), Values(option) + Meaning(option)));
        return "| metadata | option of the tool | default | meaning |\n|---|---|---|---|\n" + string.Concat(rows);
    }

    /// <summary>The metadata with the properties that are its defaults.</summary>
    public static string Properties() =>
        string.Concat(OptionTable.InProjects.Select(option => $"      <{option.Metadata}>$(Zqfp{option.Metadata})</{option.Metadata}>\n"));

    private static string Table(IEnumerable<ToolOption> options, Func<ToolOption, string>? ofWhich)
    {
        string heading = ofWhich is null
            ? "| option | default | meaning |\n|---|---|---|\n"
            : "| option | of | default | meaning |\n|---|---|---|---|\n";
        return heading + string.Concat(options.Select(option => ofWhich is null
            ? Row(Form(option), Default(option), Meaning(option))
            : Row(Form(option), ofWhich(option), Default(option), Meaning(option))));
    }

    private static string Row(params string[] cells) => $"| {string.Join(" | ", cells)} |\n";

    private static string Form(ToolOption option) =>
        $"`{option.Name}{(option.ValueName.Length == 0 ? "" : " ")}{Escape(option.ValueName)}`";

    /// <summary>In a project nothing else says which words there are.</summary>
    private static string Values(ToolOption option) =>
        option.Kind is OptionKind.Choice or OptionKind.ChoiceList ? string.Join(", ", option.Words.Select(word => $"`{word}`")) + ": " : "";

    private static string Default(ToolOption option) => option.Otherwise ?? (option.Default is { } value ? $"`{value}`" : "");

    private static string Meaning(ToolOption option)
    {
        string sentence = Escape(option.Help) + (option.More is null ? "" : $"; {option.More}");
        return char.ToLower(sentence[0], CultureInfo.InvariantCulture) + sentence[1..];
    }

    private static string Commands(ToolOption option) => string.Join(", ", Enum.GetValues<OptionCommands>()
        .Where(command => int.IsPow2((int)command) && option.IsOf(command))
        .Select(command => $"`{command.ToString().ToLowerInvariant()}`"));

    private static string Escape(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).Replace(
        "*", "\\*", StringComparison.Ordinal);
}
