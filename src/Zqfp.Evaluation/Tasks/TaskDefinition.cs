using System.Text.RegularExpressions;

namespace Zqfp.Evaluation;

/// <summary>How the lines of a task's data become questions: what a task file says.</summary>
internal sealed record TaskDefinition
{
    /// <summary>What results call it.</summary>
    public required string Name { get; init; }

    /// <summary>What it asks.</summary>
    public required TaskKind Kind { get; init; }

    /// <summary>Its data, JSON Lines; null where the task file names none.</summary>
    public string? DataPath { get; init; }

    /// <summary>What stands before the continuation; it may hold <c>{{ choice }}</c>.</summary>
    public TaskTemplate Context { get; init; } = TaskTemplate.Parse("");

    /// <summary>What follows it; it may hold <c>{{ choice }}</c>.</summary>
    public required TaskTemplate Continuation { get; init; }

    /// <summary>The choices, or the field that lists them.</summary>
    public TaskList? Choices { get; init; }

    /// <summary>The field or template that tells the right choice.</summary>
    public TaskTemplate? Target { get; init; }

    /// <summary>
    /// What <see cref="Target"/> calls the choices, in their order; null where it is the choice's index, from 0, or its text.
    /// </summary>
    public TaskList? Labels { get; init; }

    /// <summary>
    /// Whether a choice's likelihood is divided by its length for what the gate judges (<c>acc_norm</c>, not <c>acc</c>).
    /// </summary>
    public bool JudgesNormalized { get; init; }

    /// <summary>Replacements made in contexts and choices, one after the other.</summary>
    public IReadOnlyList<(Regex Pattern, string Replacement)> Replacements { get; init; } = [];

    /// <summary>The question that one line of the data asks.</summary>
    /// <exception cref="FormatException">The line does not fit the task; the message continues "line N: ".</exception>
    public TaskItem Item(IReadOnlyDictionary<string, object?> fields)
    {
        if (Kind != TaskKind.MultipleChoice)
        {
            return new TaskItem([Request(fields)], [], 0);
        }

        IReadOnlyList<string> choices = [.. Choices!.Of(fields).Select(Replace)];
        if (choices.Count < 2 || choices.Any(choice => choice.Length == 0))
        {
            throw new FormatException(
                $"it has {choices.Count(choice => choice.Length > 0)} choices; two or more are needed, none of them empty");
        }

        string target = Target!.Render(fields).Trim();
        IReadOnlyList<string> labels = Labels?.Of(fields) ?? [.. Enumerable.Range(0, choices.Count).Select(i => $"{i}")];
        int right = Enumerable.Range(0, labels.Count).FirstOrDefault(i => labels[i] == target, -1);
        if (right < 0 && Labels is null)
        {
            right = Enumerable.Range(0, choices.Count).FirstOrDefault(i => choices[i] == target, -1);
        }

        return right >= 0 && right < choices.Count
            ? new TaskItem([.. choices.Select(choice => Request([.. fields, new("choice", choice)]))], choices, right)
            : throw new FormatException($"its target '{target}' is none of its {choices.Count} choices");
    }

    private TaskText Request(IEnumerable<KeyValuePair<string, object?>> fields)
    {
        string continuation = Continuation.Render(fields);
        return continuation.Length > 0
            ? new TaskText(Replace(Context.Render(fields)), continuation)
            : throw new FormatException("its continuation is empty");
    }

    private string Replace(string text) =>
        Replacements.Aggregate(text, (current, replacement) => replacement.Pattern.Replace(current, replacement.Replacement));
}

/// <summary>A list of texts: templates, or the field that has them.</summary>
/// <param name="Field">The field's path; null where there are templates.</param>
/// <param name="Templates">The templates.</param>
internal sealed record TaskList(string? Field, IReadOnlyList<TaskTemplate> Templates)
{
    /// <summary>The texts of one line.</summary>
    /// <exception cref="FormatException">The line has none.</exception>
    public IReadOnlyList<string> Of(IReadOnlyDictionary<string, object?> fields) =>
        Field is null ? [.. Templates.Select(template => template.Render(fields))] : TaskFields.ListAt(fields, Field);
}
