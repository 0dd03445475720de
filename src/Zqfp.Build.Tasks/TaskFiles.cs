using System.Runtime.Serialization.Json;
using System.Xml;
using System.Xml.Linq;

namespace Zqfp.Build.Tasks;

/// <summary>The files that a task consists of: the task file, and the data that it or the project names.</summary>
internal static class TaskFiles
{
    /// <summary>What a gate's result depends on: the files' hashes, and the name of a task that is built in.</summary>
    public static string Content(string named, FileHashes hashes)
    {
        var task = NamedTask.Parse(named);
        string definition = File.Exists(task.Task) ? hashes.Of(task.Task) : task.Task;
        return (task.Data ?? DataOf(task.Task)) is { } data ? $"{definition}:{hashes.Of(data)}" : definition;
    }

    /// <summary>The data that a task file names, or null: what is wrong with the file, the tool says.</summary>
    private static string? DataOf(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            using XmlDictionaryReader reader = JsonReaderWriterFactory.CreateJsonReader(stream, XmlDictionaryReaderQuotas.Max);
            string? data = (string?)XElement.Load(reader).Element("data");
            return data is null ? null : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, data));
        }
        catch (Exception exception) when (exception is XmlException or FormatException or InvalidOperationException or IOException
            or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return null;
        }
    }
}
