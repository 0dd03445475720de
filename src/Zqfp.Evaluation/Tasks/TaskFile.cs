using System.Text.Json;
using System.Text.RegularExpressions;

namespace Zqfp.Evaluation;

/// <summary>
/// Reads task files. A task is named by its file, or by the name of one that is built in; behind <c>=</c> may stand the data, in the place
/// of what the file names: <c>arc_easy=arc.jsonl</c>.
/// </summary>
internal static class TaskFile
{
    private const string Invalid = "ZQFP0135";

    private static readonly string[] Keys =
        ["$schema", "name", "type", "data", "context", "choices", "continuation", "target", "labels", "replace", "metric"];

    /// <summary>The names of the tasks that are built in.</summary>
    public static IReadOnlyList<string> BuiltIn { get; } =
    [
        .. typeof(TaskFile).Assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith("Tasks/", StringComparison.Ordinal))
            .Select(name => Path.GetFileNameWithoutExtension(name["Tasks/".Length..]))
            .Order(StringComparer.Ordinal)
    ];

    /// <summary>Reads the task that is named.</summary>
    /// <param name="named">The file or the built-in task, with or without its data.</param>
    /// <exception cref="ZqfpException">ZQFP0135: there is no such task, it is wrong, or it has no data.</exception>
    public static TaskDefinition Load(string named)
    {
        var text = NamedTask.Parse(named);
        string path = text.Task;
        try
        {
            TaskDefinition task = Read(path);
            return (text.Data ?? task.DataPath) is { } found
                ? task with { DataPath = found }
                : throw new FormatException($"it names no data; give it as --task {named}=FILE.jsonl");
        }
        catch (Exception e) when (e is JsonException or FormatException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new ZqfpException(Invalid, $"Task '{named}' cannot be used: {e.Message.TrimEnd('.')}.", path, e);
        }
    }

    private static TaskDefinition Read(string path)
    {
        if (File.Exists(path))
        {
            string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
            TaskDefinition task = Parse(File.ReadAllText(path), Path.GetFileNameWithoutExtension(path));
            return task.DataPath is { } data ? task with { DataPath = Path.Combine(folder, data) } : task;
        }

        if (Directory.Exists(path))
        {
            throw new FormatException("it is a folder; name the file");
        }

        using Stream stream = typeof(TaskFile).Assembly.GetManifestResourceStream($"Tasks/{path}.json") ?? throw new FormatException(
            $"there is no such file, and the tasks built in are {string.Join(", ", BuiltIn)}.{Spelling.Question(path, BuiltIn)}");
        using var reader = new StreamReader(stream);
        return Parse(reader.ReadToEnd(), path);
    }

    /// <summary>Reads a task from JSON.</summary>
    /// <exception cref="JsonException">It is no JSON object.</exception>
    /// <exception cref="FormatException">It is no task; the message says why.</exception>
    internal static TaskDefinition Parse(string json, string name)
    {
        using var document = JsonDocument.Parse(json, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip });
        JsonElement root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw new FormatException("it must be a JSON object");
        }

        if (root.EnumerateObject().Select(property => property.Name).FirstOrDefault(key => !Keys.Contains(key)) is { } unknown)
        {
            throw new FormatException($"'{unknown}' is none of {string.Join(", ", Keys[1..])}.{Spelling.Question(unknown, Keys)}");
        }

        TaskKind kind = Kind(Text(root, "type") ?? throw new FormatException("it has no 'type'"));
        bool hasChoices = kind == TaskKind.MultipleChoice;
        string[] needed = hasChoices ? ["choices", "target"] : ["continuation"];
        string[] missing = [.. needed.Where(key => !root.TryGetProperty(key, out _))];
        return missing.Length == 0
            ? new TaskDefinition
            {
                Name = Text(root, "name") ?? name,
                Kind = kind,
                DataPath = Text(root, "data"),
                Context = TaskTemplate.Parse(Text(root, "context") ?? ""),
                Continuation = TaskTemplate.Parse(Text(root, "continuation") ?? " {{ choice }}"),
                Choices = hasChoices ? List(root, "choices") : null,
                Target = Text(root, "target") is { } target ? TaskTemplate.Parse(Braced(target)) : null,
                Labels = root.TryGetProperty("labels", out _) ? List(root, "labels") : null,
                Replacements = [.. Replacements(root)],
                JudgesNormalized = (Text(root, "metric") ?? "acc") switch
                {
                    "acc" => false,
                    "acc_norm" when hasChoices => true,
                    var other => throw new FormatException($"its metric is acc, or acc_norm where there are choices, not '{other}'"),
                },
            }
            : throw new FormatException($"it has no '{missing[0]}'");
    }

    private static TaskKind Kind(string type) => type switch
    {
        "multiple_choice" => TaskKind.MultipleChoice,
        "loglikelihood" => TaskKind.Loglikelihood,
        "loglikelihood_rolling" => TaskKind.LoglikelihoodRolling,
        _ => throw new FormatException($"its type is one of multiple_choice, loglikelihood and loglikelihood_rolling, not '{type}'"),
    };

    /// <summary>A field's path is a template of that field alone.</summary>
    private static string Braced(string text) => text.Contains('{', StringComparison.Ordinal) ? text : $"{{{{ {text} }}}}";

    private static string? Text(JsonElement root, string key) => !root.TryGetProperty(key, out JsonElement value) ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString()
        : throw new FormatException($"'{key}' must be a text");

    private static TaskList List(JsonElement root, string key)
    {
        JsonElement value = root.GetProperty(key);
        return value.ValueKind switch
        {
            JsonValueKind.String => new TaskList(value.GetString(), []),
            JsonValueKind.Array when value.EnumerateArray().All(entry => entry.ValueKind == JsonValueKind.String) =>
                new TaskList(null, [.. value.EnumerateArray().Select(entry => TaskTemplate.Parse(entry.GetString()!))]),
            _ => throw new FormatException($"'{key}' must be the name of a field or a list of texts"),
        };
    }

    /// <summary>Patterns that cannot backtrack, so that no text takes long.</summary>
    private static IEnumerable<(Regex Pattern, string Replacement)> Replacements(JsonElement root)
    {
        if (!root.TryGetProperty("replace", out JsonElement list))
        {
            yield break;
        }

        if (list.ValueKind != JsonValueKind.Array)
        {
            throw new FormatException("'replace' must be a list of [pattern, replacement]");
        }

        foreach (JsonElement pair in list.EnumerateArray())
        {
            if (pair.ValueKind != JsonValueKind.Array || pair.GetArrayLength() != 2
                || pair.EnumerateArray().Any(part => part.ValueKind != JsonValueKind.String))
            {
                throw new FormatException("'replace' must be a list of [pattern, replacement]");
            }

            Regex pattern;
            try
            {
                pattern = new Regex(pair[0].GetString()!, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
            }
            catch (Exception e) when (e is ArgumentException or NotSupportedException)
            {
                throw new FormatException($"'{pair[0].GetString()}' cannot be used as a pattern: {e.Message}", e);
            }

            yield return (pattern, pair[1].GetString()!);
        }
    }
}
