namespace Zqfp;

/// <summary>
/// A task as people name it: a task file, or one that is built in; behind <c>=</c> the data, in the place of what the file names.
/// </summary>
internal sealed class NamedTask
{
    private NamedTask(string task, string? data)
    {
        Task = task;
        Data = data;
    }

    /// <summary>The task file, or the name of a task that is built in.</summary>
    public string Task { get; }

    /// <summary>The data; null where the task file names it.</summary>
    public string? Data { get; }

    /// <summary>Reads what is named. The name of a file that exists may hold the sign.</summary>
    /// <param name="text">What is named.</param>
    /// <param name="folder">The folder that paths start at; empty for the current one.</param>
    public static NamedTask Parse(string text, string folder = "")
    {
        int mark = text.LastIndexOf('=');
        return mark <= 0 || File.Exists(Path.Combine(folder, text))
            ? new NamedTask(text, null)
            : new NamedTask(text.Substring(0, mark), text.Substring(mark + 1));
    }

    /// <summary>The same with full paths; what is no file in <paramref name="folder"/> is the name of a task that is built in.</summary>
    public static string InFolder(string text, string folder)
    {
        NamedTask named = Parse(text, folder);
        string path = Path.GetFullPath(Path.Combine(folder, named.Task));
        string task = File.Exists(path) ? path : named.Task;
        return named.Data is null ? task : $"{task}={Path.GetFullPath(Path.Combine(folder, named.Data))}";
    }
}
