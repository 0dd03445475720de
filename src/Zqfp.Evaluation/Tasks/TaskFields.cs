using System.Text.Json;

namespace Zqfp.Evaluation;

/// <summary>One line of a task's data: a JSON object's fields.</summary>
internal static class TaskFields
{
    /// <summary>The fields as templates take them: texts, numbers, truth values, lists and dictionaries of these.</summary>
    public static Dictionary<string, object?> Of(JsonElement line) =>
        line.EnumerateObject().ToDictionary(field => field.Name, field => Value(field.Value), StringComparer.Ordinal);

    /// <summary>The value at a path such as <c>choices.text</c>.</summary>
    /// <exception cref="FormatException">There is none.</exception>
    public static object? At(IReadOnlyDictionary<string, object?> fields, string path)
    {
        object? value = fields;
        foreach (string part in path.Split('.'))
        {
            value = value is IReadOnlyDictionary<string, object?> inner && inner.TryGetValue(part, out object? next)
                ? next
                : throw new FormatException($"it has no field '{path}'");
        }

        return value;
    }

    /// <summary>The list of texts at a path.</summary>
    /// <exception cref="FormatException">There is none.</exception>
    public static IReadOnlyList<string> ListAt(IReadOnlyDictionary<string, object?> fields, string path) =>
        At(fields, path) is IReadOnlyList<object?> list && list.All(entry => entry is not (null or IReadOnlyList<object?>))
            ? [.. list.Select(entry => Text(entry!))]
            : throw new FormatException($"its field '{path}' is no list of texts");

    /// <summary>A value as text, as a template writes it.</summary>
    public static string Text(object value) => Convert.ToString(value, System.Globalization.CultureInfo.InvariantCulture)!;

    private static object? Value(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => element.GetString(),
        JsonValueKind.Number => element.GetDecimal(),
        JsonValueKind.True or JsonValueKind.False => element.GetBoolean(),
        JsonValueKind.Array => (object?[])[.. element.EnumerateArray().Select(Value)],
        JsonValueKind.Object => Of(element),
        _ => null,
    };
}
