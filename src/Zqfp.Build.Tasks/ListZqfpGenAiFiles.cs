using System.Diagnostics.CodeAnalysis;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

namespace Zqfp.Build.Tasks;

/// <summary>
/// Lists what goes into the output beside the model of a <c>ZqfpModel</c> with <c>For="genai"</c>: the folder's own files from where they
/// are, and those that quantizing writes.
/// </summary>
[SuppressMessage("Performance", "CA1819:Properties should not return arrays", Justification = "MSBuild binds arrays of items.")]
[MSBuildMultiThreadableTask]
public sealed class ListZqfpGenAiFiles : Microsoft.Build.Utilities.Task
{
    /// <summary>The project's <c>ZqfpModel</c> items, each with <c>Link</c>.</summary>
    [Required]
    public ITaskItem[] Models { get; set; } = [];

    /// <summary>The folder that relative paths start from.</summary>
    [Required]
    public string ProjectDirectory { get; set; } = string.Empty;

    /// <summary>The folder that holds one folder per model.</summary>
    [Required]
    public string IntermediateFolder { get; set; } = string.Empty;

    /// <summary>The files, with their place in the output as <c>Link</c>.</summary>
    [Output]
    public ITaskItem[] Files { get; private set; } = [];

    /// <inheritdoc/>
    public override bool Execute()
    {
        // What cannot be listed is a model that cannot be quantized either, which says more.
        Files = [.. Models.Where(GenAiFolder.IsWanted)
            .SelectMany(model => Of(model, Path.GetFullPath(Path.Combine(ProjectDirectory, model.ItemSpec))))];
        return true;
    }

    private IEnumerable<ITaskItem> Of(ITaskItem model, string path)
    {
        // A folder around the project is refused by the tool.
        if (!File.Exists(path)
            || Folder(ProjectDirectory).StartsWith(Folder(Path.GetDirectoryName(path)!), StringComparison.OrdinalIgnoreCase))
        {
            yield break;
        }

        string link = model.GetMetadata("Link");
        string place = Path.GetDirectoryName(link)!;
        string made = Path.Combine(ProjectDirectory, IntermediateFolder, link);
        IReadOnlyList<string> others = GenAiFolder.OtherFiles(path);
        foreach (string name in others)
        {
            yield return Item(Path.Combine(Path.GetDirectoryName(path)!, name), Path.Combine(place, name));
        }

        yield return Item(Path.Combine(made, GenAiFolder.Config), Path.Combine(place, GenAiFolder.Config));
        if (!others.Contains(GenAiFolder.TokenizerConfig))
        {
            yield return Item(Path.Combine(made, GenAiFolder.TokenizerConfig), Path.Combine(place, GenAiFolder.TokenizerConfig));
        }

        if (GenAiFolder.Library(model) is { } library)
        {
            yield return Item(Path.Combine(made, library), Path.Combine(place, library));
        }
    }

    /// <summary>A folder's full path with a separator at its end, so that what begins with it lies in it.</summary>
    private static string Folder(string path) => Path.GetFullPath(path).TrimEnd(Path.DirectorySeparatorChar) + Path.DirectorySeparatorChar;

    private static TaskItem Item(string path, string link)
    {
        var item = new TaskItem(Escaping.Escape(path));
        item.SetMetadata("Link", Escaping.Escape(link));
        return item;
    }
}
