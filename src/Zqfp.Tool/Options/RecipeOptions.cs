using System.CommandLine;
using System.Text.Json;

namespace Zqfp.Tool;

/// <summary>
/// A JSON file in the place of options. Its keys are those of a <c>ZqfpModel</c>'s metadata in camel case, each of which is an option
/// of <c>quantize</c>, of <c>gate</c> or of both; what is given on the command line itself wins.
/// </summary>
internal static class RecipeOptions
{
    /// <summary>The option's name.</summary>
    public const string Name = "--recipe";

    /// <summary>What a key stands for; null where a command has no such option.</summary>
    /// <param name="Key">The key in the file.</param>
    /// <param name="Quantize">The option of <c>quantize</c> and <c>plan</c>.</param>
    /// <param name="Gate">The option of <c>gate</c>.</param>
    /// <param name="IsFile">Whether the value is a path, relative to the recipe.</param>
    internal sealed record Entry(string Key, string? Quantize, string? Gate, bool IsFile = false);

    /// <summary>Every key but <c>$schema</c>.</summary>
    internal static IReadOnlyList<Entry> Entries { get; } =
    [
        new("tokenizer", "--tokenizer", "--tokenizer", IsFile: true),
        new("calibration", "--calibration", null, IsFile: true),
        new("weights", "--weights", null),
        new("activations", "--activations", null),
        new("method", "--method", null),
        new("groupSize", "--group-size", null),
        new("constraint", "--constraint", null),
        new("rounding", "--rounding", null),
        new("rank", "--rank", null),
        new("window", "--window", "--window"),
        new("windows", "--windows", null),
        new("windowSeed", "--window-seed", null),
        new("jsonField", "--json-field", "--json-field"),
        new("documentMarker", "--document-marker", "--document-marker"),
        new("documentSeparator", "--document-separator", "--document-separator"),
        new("bos", "--bos", "--bos"),
        new("calibrateOn", "--calibrate-on", null),
        new("includeLayers", "--include", null),
        new("excludeLayers", "--exclude", null),
        new("minLayerSize", "--min-size", null),
        new("layerOverrides", "--override", null),
        new("profile", "--profile", null),
        new("accuracyLevel", "--accuracy-level", null),
        new("for", "--for", null),
        new("operatorsLibrary", "--operators-library", null, IsFile: true),
        new("preset", "--preset", null),
        new("evaluation", null, "--text", IsFile: true),
        new("evaluationWindows", null, "--windows"),
        new("maxPerplexityIncrease", null, "--max-increase"),
        new("maxPerplexity", null, "--max-perplexity"),
        new("baseline", null, "--baseline", IsFile: true),
        new("maxRegression", null, "--max-regression"),
        new("device", null, "--device"),
    ];

    /// <summary>The option itself, for help and completion; <see cref="Expand"/> has done its work before it is parsed.</summary>
    public static Option<string?> Create() => new(Name) { Description = "A JSON file of options; those given here win ('dotnet zqfp schema' prints its schema)", HelpName = "FILE" };

    /// <summary>The arguments with those of the recipe, where they name one.</summary>
    /// <exception cref="ZqfpException">ZQFP0012: the recipe cannot be read, or holds something that is no option.</exception>
    public static string[] Expand(string[] arguments)
    {
        if (arguments is not [("quantize" or "plan" or "gate") and var command, ..] || Find(arguments) is not { } path)
        {
            return arguments;
        }

        bool isGate = command == "gate";
        List<string> expanded = [.. arguments];
        foreach ((Entry entry, IReadOnlyList<string> values) in Read(path))
        {
            if ((isGate ? entry.Gate : entry.Quantize) is { } option && !arguments.Any(argument => Is(argument, option)))
            {
                expanded.AddRange(values.Select(value => $"{option}={value}"));
            }
        }

        return [.. expanded];
    }

    /// <summary>Whether an argument is the option, alone or with its value behind = or :.</summary>
    private static bool Is(string argument, string option) =>
        argument.StartsWith(option, StringComparison.Ordinal) && (argument.Length == option.Length || argument[option.Length] is '=' or ':');

    private static string? Find(string[] arguments)
    {
        int index = Array.FindIndex(arguments, argument => Is(argument, Name));
        return index < 0 ? null
            : arguments[index].Length > Name.Length ? arguments[index][(Name.Length + 1)..]
            : arguments.ElementAtOrDefault(index + 1);
    }

    private static IEnumerable<(Entry Entry, IReadOnlyList<string> Values)> Read(string path)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllText(path));
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw new JsonException("It must be an object.");
            }

            string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
            return [.. document.RootElement.EnumerateObject().Where(property => property.Name != "$schema").Select(property => Read(property, folder))];
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException or ArgumentException or InvalidOperationException or NotSupportedException)
        {
            throw new ZqfpException("ZQFP0012", $"The recipe cannot be used: {e.Message}", path, e);
        }
    }

    private static (Entry Entry, IReadOnlyList<string> Values) Read(JsonProperty property, string folder)
    {
        Entry entry = Entries.FirstOrDefault(entry => entry.Key == property.Name)
            ?? throw new JsonException($"'{property.Name}' is no option. 'dotnet zqfp schema' lists them.");
        IEnumerable<JsonElement> elements = property.Value.ValueKind == JsonValueKind.Array ? property.Value.EnumerateArray() : [property.Value];
        return (entry, [.. elements.Select(element => Text(element, entry, folder))]);
    }

    private static string Text(JsonElement element, Entry entry, string folder)
    {
        string text = element.ValueKind switch
        {
            JsonValueKind.String => element.GetString()!,
            JsonValueKind.Number => element.GetRawText(),
            _ => throw new JsonException($"'{entry.Key}' must be a text, a number or a list of these."),
        };
        return entry.IsFile ? Path.Combine(folder, text) : text;
    }
}
