using System.Text.Json;

namespace Zqfp.Evaluation;

/// <summary>Reads a task's questions from its data, JSON Lines.</summary>
internal static class TaskData
{
    /// <summary>All questions, in the data's order.</summary>
    /// <param name="task">The task.</param>
    /// <exception cref="ZqfpException">ZQFP0109: the data cannot be read, or is empty. ZQFP0136: a line does not fit the task.</exception>
    public static IReadOnlyList<TaskItem> Read(TaskDefinition task)
    {
        string path = task.DataPath!;
        List<TaskItem> items = [];
        int number = 0;
        foreach (string line in Lines(path))
        {
            number++;
            if (!string.IsNullOrWhiteSpace(line))
            {
                items.Add(Item(task, line, number, path));
            }
        }

        return items.Count > 0
            ? items
            : throw new ZqfpException("ZQFP0109", $"The data '{path}' of task '{task.Name}' is empty.", path);
    }

    private static string[] Lines(string path)
    {
        try
        {
            return File.ReadAllText(path, new System.Text.UTF8Encoding(false, throwOnInvalidBytes: true)).Split('\n');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or System.Text.DecoderFallbackException)
        {
            throw new ZqfpException("ZQFP0109", $"The data of a task cannot be read: {e.Message}", path, e);
        }
    }

    private static TaskItem Item(TaskDefinition task, string line, int number, string path)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? task.Item(TaskFields.Of(document.RootElement))
                : throw new FormatException("it is no JSON object");
        }
        catch (Exception e) when (e is JsonException or FormatException or ArgumentException)
        {
            throw new ZqfpException(
                "ZQFP0136", $"Line {number} of '{path}' does not fit task '{task.Name}': {e.Message.TrimEnd('.')}.", path, e);
        }
    }
}
