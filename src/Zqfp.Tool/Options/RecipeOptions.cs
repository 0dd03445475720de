using System.Text.Json;

namespace Zqfp.Tool;

/// <summary>
/// A JSON file in the place of options. Its keys are those of a <c>ZqfpModel</c>'s metadata in camel case, each of which is an option
/// of <c>quantize</c>, of <c>gate</c> or of both; what is given on the command line itself wins.
/// </summary>
internal static class RecipeOptions
{
    private const string Name = "--recipe";

    /// <summary>The arguments with those of the recipe, where they name one.</summary>
    /// <exception cref="ZqfpException">ZQFP0012: the recipe cannot be read, or holds something that is no option.</exception>
    public static string[] Expand(string[] arguments)
    {
        if (arguments is not [("quantize" or "plan" or "gate") and var command, ..] || Find(arguments) is not { Length: > 0 } path)
        {
            return arguments;
        }

        OptionCommands kind = command == "gate" ? OptionCommands.Gate : OptionCommands.Quantizing;
        List<string> expanded = [.. arguments];
        foreach ((ToolOption option, IReadOnlyList<string> values) in Read(path))
        {
            if (option.IsOf(kind) && !arguments.Any(argument => Is(argument, option.Name)))
            {
                expanded.AddRange(values.Select(value => $"{option.Name}={value}"));
            }
        }

        return [.. expanded];
    }

    /// <summary>Whether an argument is the option, alone or with its value behind = or :.</summary>
    private static bool Is(string argument, string option) =>
        argument.StartsWith(option, StringComparison.Ordinal)
            && (argument.Length == option.Length || argument[option.Length] is '=' or ':');

    private static string? Find(string[] arguments)
    {
        int index = Array.FindIndex(arguments, argument => Is(argument, Name));
        return index < 0 ? null
            : arguments[index].Length > Name.Length ? arguments[index][(Name.Length + 1)..]
            : arguments.ElementAtOrDefault(index + 1);
    }

    private static IEnumerable<string> Keys => OptionTable.InRecipes.Select(option => option.Key!);

    private static IEnumerable<(ToolOption Option, IReadOnlyList<string> Values)> Read(string path)
    {
        if (Directory.Exists(path))
        {
            throw new ZqfpException("ZQFP0012", "The recipe is a folder. Name the JSON file.", path);
        }

        try
        {
            using var document = JsonDocument.Parse(File.ReadAllText(path), new JsonDocumentOptions { AllowTrailingCommas = true });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw new JsonException("It must be an object.");
            }

            if (document.RootElement.EnumerateObject().CountBy(property => property.Name).FirstOrDefault(key => key.Value > 1) is
                { Value: > 1, Key: var twice })
            {
                throw new JsonException($"'{twice}' is there twice.");
            }

            string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
            return [.. document.RootElement.EnumerateObject()
                .Where(property => property.Name != "$schema")
                .Select(property => Read(property, folder))];
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException
            or ArgumentException or InvalidOperationException or NotSupportedException)
        {
            throw new ZqfpException("ZQFP0012", $"The recipe cannot be used: {e.Message}", path, e);
        }
    }

    private static (ToolOption Option, IReadOnlyList<string> Values) Read(JsonProperty property, string folder)
    {
        ToolOption option = OptionTable.InRecipes.FirstOrDefault(option => option.Key == property.Name)
            ?? throw new JsonException(
                $"'{property.Name}' is no option.{Spelling.Question(property.Name, Keys)} 'dotnet zqfp schema' lists them.");
        IEnumerable<JsonElement> elements = property.Value.ValueKind == JsonValueKind.Array
            ? property.Value.EnumerateArray()
            : [property.Value];
        return (option, [.. elements.Select(element => Text(element, option, folder))]);
    }

    private static string Text(JsonElement element, ToolOption option, string folder)
    {
        string text = element.ValueKind switch
        {
            JsonValueKind.String => element.GetString()!,
            JsonValueKind.Number => element.GetRawText(),
            _ => throw new JsonException($"'{option.Key}' must be a text, a number or a list of these."),
        };
        return option.Problem(text) is { } problem ? throw new JsonException($"'{option.Key}' {problem}.")
            : option.Kind == OptionKind.Input ? Path.Combine(folder, text)
            : option.Kind == OptionKind.Tasks ? NamedTask.InFolder(text, folder)
            : text;
    }
}
