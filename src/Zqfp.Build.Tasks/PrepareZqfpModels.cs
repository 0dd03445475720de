using System.Diagnostics.CodeAnalysis;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

namespace Zqfp.Build.Tasks;

/// <summary>
/// Resolves what each <c>ZqfpModel</c> says, and writes down what its quantization and its gate depend on. Each list is written only
/// when it differs, so the targets' <c>Inputs</c> and <c>Outputs</c> see a change exactly when there is one.
/// </summary>
[SuppressMessage("Performance", "CA1819:Properties should not return arrays", Justification = "MSBuild binds arrays of items.")]
[MSBuildMultiThreadableTask]
public sealed class PrepareZqfpModels : Microsoft.Build.Utilities.Task
{
    private static readonly DateTime LongAgo = new(2000, 1, 1, 0, 0, 0, DateTimeKind.Utc);

    /// <summary>The project's <c>ZqfpModel</c> items.</summary>
    [Required]
    public ITaskItem[] Models { get; set; } = [];

    /// <summary>The folder that relative paths in metadata start from.</summary>
    [Required]
    public string ProjectDirectory { get; set; } = string.Empty;

    /// <summary>The folder that holds one folder per model, the same for every target framework and configuration.</summary>
    [Required]
    public string IntermediateFolder { get; set; } = string.Empty;

    /// <summary>The path of <c>dotnet-zqfp.dll</c>; a change of it or of a library beside it makes everything stale.</summary>
    [Required]
    public string ToolAssembly { get; set; } = string.Empty;

    /// <summary>The folder or the address of the pages about diagnostics; empty for none.</summary>
    public string HelpLinkBase { get; set; } = string.Empty;

    /// <summary>One item per model: resolved options as metadata, and the files of <c>ModelFiles</c>.</summary>
    [Output]
    public ITaskItem[] PreparedModels { get; private set; } = [];

    /// <summary>Those of <see cref="PreparedModels"/> that have an evaluation text.</summary>
    [Output]
    public ITaskItem[] GatedModels { get; private set; } = [];

    /// <summary>Those of <see cref="PreparedModels"/> whose reports are wanted.</summary>
    [Output]
    public ITaskItem[] ReportedModels { get; private set; } = [];

    /// <inheritdoc/>
    public override bool Execute()
    {
        try
        {
            Prepare();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException
            or NotSupportedException)
        {
            Error("ZQFP0905", IntermediateFolder, $"the inputs of the quantization could not be read or written down: {exception.Message}");
        }

        return !Log.HasLoggedErrors;
    }

    private void Prepare()
    {
        string toolAssembly = FullPath(ToolAssembly);
        if (!File.Exists(toolAssembly))
        {
            Error("ZQFP0903", toolAssembly,
                "the quantization tool is not there. Set the property ZqfpToolPath to dotnet-zqfp.dll, or restore the package again.");
            return;
        }

        string folder = FullPath(IntermediateFolder);
        var hashes = new FileHashes(Path.Combine(folder, "files.cache"));
        var globalProperties = new GlobalProperties(BuildEngine as IBuildEngine6);
        string tool = ToolHash(toolAssembly, hashes);
        var models = new List<ITaskItem>();
        var links = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (ITaskItem item in Models)
        {
            TaskItem? model = Resolve(item, globalProperties);
            if (model is null)
            {
                continue;
            }

            string link = model.GetMetadata("Link");
            if (links.TryGetValue(link, out string? other))
            {
                Error("ZQFP0902", model.ItemSpec,
                    $"this ZqfpModel and '{other}' would both become '{link}' in the output folder. Give one of them Link metadata with "
                    + "another path.");
                continue;
            }

            links.Add(link, model.ItemSpec);
            if (HasWhatItNeeds(model) && HasTheProjectsFiles(model, item) && CanBeFolder(model))
            {
                WriteInputs(model, new ModelFiles(folder, link), tool, hashes);
                models.Add(model);
            }
        }

        hashes.Save();
        PreparedModels = [.. models];
        GatedModels = [.. models.Where(IsGated)];
        ReportedModels = [.. models.Where(HasReport)];
    }

    private static bool IsGated(ITaskItem model) => model.GetMetadata("Evaluation").Length > 0 || model.GetMetadata("Tasks").Length > 0;

    /// <summary>What an option says, with the paths of files that are read in full.</summary>
    private string InFull(ToolOption option, string value) => option.Kind switch
    {
        OptionKind.Input when value.Length > 0 => FullPath(value),
        OptionKind.Tasks => string.Join(";", ModelOption.Values(option, value).Select(task => NamedTask.InFolder(task, ProjectDirectory))),
        _ => value,
    };

    private static bool HasReport(ITaskItem model) => !string.Equals(
        model.GetMetadata("Report"), "false", StringComparison.OrdinalIgnoreCase);

    /// <summary>The item with every option settled, or null where its recipe, its metadata or a value cannot be used.</summary>
    private TaskItem? Resolve(ITaskItem item, GlobalProperties globalProperties)
    {
        var model = new TaskItem(item) { ItemSpec = Escaping.Escape(FullPath(item.ItemSpec)) };
        if (ReadRecipe(globalProperties["ZqfpRecipe"] ?? item.GetMetadata("Recipe").Trim()) is not { } recipe)
        {
            return null;
        }

        bool isRight = HasKnownMetadata(item);
        foreach (ToolOption option in OptionTable.InRecipes)
        {
            // What was typed for this one build wins over what the project says, and that over the recipe.
            string name = option.Metadata!;
            string? typed = globalProperties[ModelOption.PropertyOf(option)];
            string given = typed ?? item.GetMetadata(name);
            string value = option.Kind == OptionKind.Text ? given : given.Trim();
            isRight &= value.Length == 0 || IsRight(option, value, item, isTyped: typed is not null);
            if (value.Length == 0 && recipe.TryGetValue(name, out string? prescribed))
            {
                value = prescribed;
            }

            model.SetMetadata(name, Escaping.Escape(InFull(option, value)));
        }

        if (!isRight)
        {
            return null;
        }

        if (model.GetMetadata("Link").Length == 0)
        {
            model.SetMetadata("Link", Escaping.Escape(Path.GetFileName(model.ItemSpec)));
        }

        return model;
    }

    /// <summary>Metadata that is no option is a mistake that would go unnoticed: the option keeps its default.</summary>
    private bool HasKnownMetadata(ITaskItem item)
    {
        bool isRight = true;
        foreach (string name in item.CloneCustomMetadata().Keys.Cast<string>()
            .Where(name => !KnownMetadata.Has(name))
            .OrderBy(name => name))
        {
            string own = "Metadata of your own targets begins with an underscore.";
            Error("ZQFP0015", PlaceOf(item, name),
                $"'{name}' of the ZqfpModel '{item.ItemSpec}' is no option.{KnownMetadata.Question(name)} {own}");
            isRight = false;
        }

        return isRight;
    }

    private bool IsRight(ToolOption option, string value, ITaskItem item, bool isTyped)
    {
        if (ModelOption.Values(option, value).Select(option.Problem).FirstOrDefault(problem => problem is not null) is not { } problem)
        {
            return true;
        }

        if (isTyped)
        {
            Error("ZQFP0016", item.ItemSpec, $"the property {ModelOption.PropertyOf(option)}, given to this build, {problem}.");
        }
        else
        {
            Error("ZQFP0016", PlaceOf(item, option.Metadata!), $"{option.Metadata} of the ZqfpModel '{item.ItemSpec}' {problem}.");
        }

        return false;
    }

    private static MetadataPlace PlaceOf(ITaskItem item, string metadata)
    {
        string project = item.GetMetadata("DefiningProjectFullPath");
        return project.Length > 0 ? MetadataPlace.Find(project, metadata, item.GetMetadata(metadata)) : new MetadataPlace(item.ItemSpec);
    }

    /// <summary>The recipe's options, none without a recipe, or null where it cannot be used.</summary>
    private IReadOnlyDictionary<string, string>? ReadRecipe(string recipe)
    {
        if (recipe.Length == 0)
        {
            return new Dictionary<string, string>();
        }

        string path = FullPath(recipe);
        try
        {
            return RecipeFile.Read(path);
        }
        catch (Exception exception) when (exception is FormatException or IOException or UnauthorizedAccessException)
        {
            Error("ZQFP0012", path, $"The recipe cannot be used: {exception.Message}");
            return null;
        }
    }

    private bool HasWhatItNeeds(TaskItem model)
    {
        foreach (string required in new[] { "Tokenizer", "Calibration" })
        {
            if (model.GetMetadata(required).Length == 0)
            {
                Error("ZQFP0901", model.ItemSpec,
                    $"this ZqfpModel has no {required}. Add {required}=\"a file\" to the item, set the property Zqfp{required}, or name it "
                    + "in a recipe.");
                return false;
            }
        }

        return true;
    }

    /// <summary>
    /// Which files go to the output folder is settled when the project is evaluated, before a property of the command line can win.
    /// </summary>
    private bool HasTheProjectsFiles(TaskItem model, ITaskItem item)
    {
        string[] wanted = [.. ModelProfiles.Further(model.GetMetadata("Profile"))];
        string[] known = [.. ModelProfiles.Further(item.GetMetadata("Profile"))];
        if (!wanted.OrderBy(profile => profile).SequenceEqual(known.OrderBy(profile => profile)))
        {
            Error("ZQFP0906", model.ItemSpec,
                "the recipe, or the property ZqfpProfile on the command line, asks for other further profiles than the item, so for other "
                + "files. Change the item's Profile instead.");
            return false;
        }

        if (GenAiFolder.IsWanted(model) != GenAiFolder.IsWanted(item)
            || (GenAiFolder.IsWanted(model) && GenAiFolder.Library(model) != GenAiFolder.Library(item)))
        {
            Error("ZQFP0906", model.ItemSpec,
                "the recipe, or a property on the command line, asks for other files of a GenAI folder than the item. Change the item's "
                + "For, Profile or OperatorsLibrary instead.");
            return false;
        }

        return true;
    }

    /// <summary>A GenAI folder is made from one, and its configuration names the model.</summary>
    private bool CanBeFolder(TaskItem model)
    {
        if (!GenAiFolder.IsWanted(model))
        {
            return true;
        }

        if (!File.Exists(GenAiConfig(model)))
        {
            Error("ZQFP0134", model.ItemSpec,
                $"this ZqfpModel is For=\"genai\", and there is no {GenAiFolder.Config} beside it. Include the model in the folder that "
                + "GenAI's model builder wrote.");
            return false;
        }

        if (Path.GetFileName(model.GetMetadata("Link")) != Path.GetFileName(model.ItemSpec))
        {
            Error("ZQFP0134", model.ItemSpec,
                $"the Link of a ZqfpModel that is For=\"genai\" must end in '{Path.GetFileName(model.ItemSpec)}', the name by which its "
                + "configuration finds the model.");
            return false;
        }

        return true;
    }

    private static string GenAiConfig(TaskItem model) => Path.Combine(Path.GetDirectoryName(model.ItemSpec)!, GenAiFolder.Config);

    private static void WriteInputs(TaskItem model, ModelFiles files, string tool, FileHashes hashes)
    {
        var quantize = new StringBuilder();
        quantize.Append("tool ").Append(tool).Append('\n');
        quantize.Append("model ").Append(hashes.Of(model.ItemSpec)).Append('\n');
        foreach (string data in ExternalDataFiles.Of(model.ItemSpec))
        {
            quantize.Append("data ").Append(hashes.OfFile(data)).Append('\n');
        }

        if (GenAiFolder.IsWanted(model))
        {
            quantize.Append("configuration ").Append(hashes.Of(GenAiConfig(model))).Append('\n');
        }

        AppendOptions(quantize, model, ModelOption.Quantize, hashes);
        model.SetMetadata(ModelFiles.QuantizeKey, WriteInputs(files.QuantizeInputs, quantize.ToString(), files.QuantizeStamp));

        var gate = new StringBuilder("quantize:\n").Append(quantize).Append("gate:\n");
        AppendOptions(gate, model, ModelOption.Gate, hashes);
        model.SetMetadata(ModelFiles.GateKey, WriteInputs(files.GateInputs, gate.ToString(), files.GateStamp));

        model.SetMetadata(nameof(ModelFiles.WorkFolder), Escaping.Escape(files.WorkFolder));
        model.SetMetadata(nameof(ModelFiles.QuantizedModel), Escaping.Escape(files.QuantizedModel));
        model.SetMetadata(nameof(ModelFiles.QuantizedData), Escaping.Escape(files.QuantizedData));
        IEnumerable<string> further = ModelProfiles.Further(model.GetMetadata("Profile"))
            .SelectMany(profile => ModelProfiles.Files(files.QuantizedModel, profile));
        model.SetMetadata("FurtherFiles", string.Join(";", further.Select(Escaping.Escape)));
        model.SetMetadata(nameof(ModelFiles.QuantizeInputs), Escaping.Escape(files.QuantizeInputs));
        model.SetMetadata(nameof(ModelFiles.QuantizeStamp), Escaping.Escape(files.QuantizeStamp));
        model.SetMetadata(nameof(ModelFiles.QuantizeWarnings), Escaping.Escape(files.QuantizeWarnings));
        model.SetMetadata(nameof(ModelFiles.GateInputs), Escaping.Escape(files.GateInputs));
        model.SetMetadata(nameof(ModelFiles.GateStamp), Escaping.Escape(files.GateStamp));
        model.SetMetadata(nameof(ModelFiles.GateWarnings), Escaping.Escape(files.GateWarnings));
        model.SetMetadata(nameof(ModelFiles.QuantizeResult), Escaping.Escape(files.QuantizeResult));
        model.SetMetadata(nameof(ModelFiles.GateResult), IsGated(model) ? Escaping.Escape(files.GateResult) : string.Empty);
        model.SetMetadata(nameof(ModelFiles.ReportStamp), Escaping.Escape(files.ReportStamp));
        model.SetMetadata("ReportFiles",
            string.Join(";", ModelFiles.ReportKinds.Select(kind => Escaping.Escape(ModelFiles.Report(files.QuantizedModel, kind)))));
    }

    /// <summary>
    /// Writes a list of inputs where it differs, and takes away the stamp of a result that was made from others: by its time alone it
    /// would look new where the clock was set back, or where the build that made it began before these inputs were written.
    /// </summary>
    /// <returns>The hash of the list, which the stamp will hold.</returns>
    private static string WriteInputs(string path, string content, string stamp)
    {
        TextFile.WriteIfDifferent(path, content);
        string key = FileHashes.HashOfText(content);
        if (!TextFile.Has(stamp, key))
        {
            File.Delete(stamp);
        }
        else if (File.GetLastWriteTimeUtc(path) > File.GetLastWriteTimeUtc(stamp))
        {
            // Written by a clock that was ahead, or copied without its time: no result would ever be newer.
            File.SetLastWriteTimeUtc(path, LongAgo);
        }

        return key;
    }

    private static void AppendOptions(StringBuilder text, TaskItem model, IReadOnlyList<ToolOption> options, FileHashes hashes)
    {
        foreach (ToolOption option in options)
        {
            string value = model.GetMetadata(option.Metadata);
            if (value.Length > 0)
            {
                string content = option.Kind switch
                {
                    OptionKind.Input => hashes.Of(value),
                    OptionKind.Tasks => string.Join(" ", ModelOption.Values(option, value).Select(task => TaskFiles.Content(task, hashes))),
                    _ => value,
                };
                text.Append(option.Name).Append(' ').Append(content).Append('\n');
            }
        }
    }

    /// <summary>The tool is its assembly and the libraries beside it: a fix in one of those changes no byte of the assembly.</summary>
    private static string ToolHash(string toolAssembly, FileHashes hashes)
    {
        IEnumerable<string> files = Directory.EnumerateFiles(Path.GetDirectoryName(toolAssembly)!, "*", SearchOption.AllDirectories)
            .Where(IsLibrary)
            .OrderBy(file => file, StringComparer.Ordinal);
        return string.Join(" ", files.Select(hashes.Of));
    }

    private static bool IsLibrary(string file) => Path.GetExtension(file) is ".dll" or ".so" or ".dylib"
        || Path.GetFileName(file).Contains(".so.");

    private string FullPath(string path) =>
        Path.GetFullPath(Path.Combine(ProjectDirectory, path.Replace('\\', Path.DirectorySeparatorChar)));

    private void Error(string code, string file, string message) =>
        Log.LogError(subcategory: null, code, helpKeyword: null, new HelpLinks(HelpLinkBase).Of(code), file, 0, 0, 0, 0, "{0}", message);

    private void Error(string code, MetadataPlace place, string message) => Log.LogError(
        subcategory: null, code, helpKeyword: null, new HelpLinks(HelpLinkBase).Of(code), place.File, place.Line,
        place.Column, 0, 0, "{0}", message);

    private sealed class GlobalProperties(IBuildEngine6? engine)
    {
        private readonly Dictionary<string, string> _properties = new(
            engine?.GetGlobalProperties().ToDictionary(pair => pair.Key, pair => pair.Value) ?? [],
            StringComparer.OrdinalIgnoreCase);

        public string? this[string name] => _properties.TryGetValue(name, out string? value) && value.Length > 0 ? value : null;
    }
}
