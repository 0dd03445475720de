using System.IO.Enumeration;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Quantizes the model of a GenAI folder into another GenAI folder, which appears whole or not at all.</summary>
internal static class GenAiFolderJob
{
    private const string TokenizerConfig = "tokenizer_config.json";

    /// <summary>
    /// Quantizes <see cref="QuantizeOptions.ModelPath"/>, a folder or the model in it, into the folder
    /// <see cref="QuantizeOptions.OutputPath"/>.
    /// </summary>
    /// <param name="options">The options; without a tokenizer the folder's own is used.</param>
    /// <param name="inputs">The inputs of the run; the folder's files are added.</param>
    /// <param name="quantize">Quantizes the model itself.</param>
    /// <param name="observer">Where the run reports to.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="ZqfpException">ZQFP0002, ZQFP0003, ZQFP0130 to ZQFP0133, and what quantizing throws.</exception>
    public static QuantizeReport Run(QuantizeOptions options, InputFiles inputs, Func<QuantizeOptions, QuantizeReport> quantize,
        IJobObserver observer, CancellationToken cancellation)
    {
        var source = GenAiFolder.Open(options.ModelPath);
        RequireProfile(options);
        RequireSeparate(source, options);
        string? library = Library(options);
        inputs.Add(source.ConfigPath, cancellation);
        string config = GenAiFolder.Open(options.ModelPath).ConfigWith(Path.GetFileName(library));
        string model = Path.Combine(options.OutputPath, source.ModelName);
        using var only = OutputLocks.Acquire(
            [model, Path.Combine(options.OutputPath, GenAiFolder.ConfigName)], line => observer.Note(line), cancellation);
        try
        {
            StagedFolder.Recover(options.OutputPath);
            using var output = new StagedFolder(options.OutputPath);
            string[] others = OtherFiles(source);
            foreach (string name in others)
            {
                inputs.Add(Path.Combine(source.Path, name), cancellation);
            }

            QuantizeReport report = quantize(ModelOptions(options, source, output.PathOf(source.ModelName)));
            foreach (string name in others)
            {
                output.Copy(Path.Combine(source.Path, name), name);
            }

            if (library is not null)
            {
                output.Copy(library, Path.GetFileName(library));
            }

            if (!File.Exists(output.PathOf(TokenizerConfig)))
            {
                output.Write(TokenizerConfig, "{}\n");
            }

            // The configuration comes last: without it a folder that is only partly written is none that GenAI loads.
            output.Write(GenAiFolder.ConfigName, config);
            inputs.RequireUnchangedContent(cancellation);
            output.Commit(last: GenAiFolder.ConfigName);
            return report with { Output = model, Outputs = [model] };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException(
                "ZQFP0002", $"The folder '{options.OutputPath}' cannot be written: {NewFile.Explain(e)}", options.OutputPath, e);
        }
    }

    /// <summary>Refuses what <see cref="Run"/> would refuse before it begins, but for what concerns the model itself.</summary>
    /// <returns>The options of quantizing the model itself.</returns>
    /// <exception cref="ZqfpException">ZQFP0002, ZQFP0003, ZQFP0130 to ZQFP0133.</exception>
    public static QuantizeOptions Check(QuantizeOptions options)
    {
        var source = GenAiFolder.Open(options.ModelPath);
        RequireProfile(options);
        RequireSeparate(source, options);
        _ = source.ConfigWith(Path.GetFileName(Library(options)));
        return ModelOptions(options, source, Path.Combine(options.OutputPath, source.ModelName));
    }

    private static string? Library(QuantizeOptions options) =>
        options.Profiles[0] == EmissionProfile.Custom ? OperatorLibrary.Find(options.OperatorLibrary) : null;

    private static QuantizeOptions ModelOptions(QuantizeOptions options, GenAiFolder source, string output) => options with
    {
        Target = OutputTarget.Onnx,
        ModelPath = source.ModelPath,
        OutputPath = output,
        TokenizerPath = options.TokenizerPath ?? source.TokenizerPath,
    };

    /// <summary>
    /// What the folder has besides its configuration, the model and the model's data, as paths in it, in ordinal order. Folders behind
    /// links are left out.
    /// </summary>
    private static string[] OtherFiles(GenAiFolder source)
    {
        using OnnxFile file = OnnxFile.Open(source.ModelPath);
        string[] replaced = [source.ConfigPath, source.ModelPath, .. file.ExternalFiles()];
        var files = new FileSystemEnumerable<string>(source.Path, (ref entry) => entry.ToFullPath(),
            new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 })
        {
            ShouldIncludePredicate = (ref entry) => !entry.IsDirectory,
            ShouldRecursePredicate = (ref entry) => (entry.Attributes & FileAttributes.ReparsePoint) == 0,
        };
        return [.. files.Where(path => !replaced.Any(other => RealPath.AreSame(path, other)))
            .Select(path => Path.GetRelativePath(source.Path, path))
            .Order(StringComparer.Ordinal)];
    }

    private static void RequireProfile(QuantizeOptions options)
    {
        if (options.Profiles is not [EmissionProfile.Custom or EmissionProfile.Stock or EmissionProfile.Portable])
        {
            throw new ZqfpException("ZQFP0132",
                "A GenAI folder holds one model of the profile custom, stock or portable, not "
                + $"'{string.Join(",", options.Profiles.Select(profile => profile.Name()))}'.");
        }
    }

    private static void RequireSeparate(GenAiFolder source, QuantizeOptions options)
    {
        string output = RealPath.Of(options.OutputPath);
        string folder = RealPath.Of(source.Path);
        if (RealPath.AreSame(output, folder)
            || output.StartsWith(Path.TrimEndingDirectorySeparator(folder) + Path.DirectorySeparatorChar, StringComparison.Ordinal))
        {
            throw new ZqfpException("ZQFP0003", "The output is the model's own folder, or lies in it. Choose another --output.",
                options.OutputPath);
        }

        if (File.Exists(options.OutputPath))
        {
            throw new ZqfpException("ZQFP0002", "The output of --for genai is a folder, and there is a file of that name.",
                options.OutputPath);
        }
    }
}
