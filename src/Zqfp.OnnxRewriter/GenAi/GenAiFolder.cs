using System.Text.Json;
using System.Text.Json.Nodes;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// A model folder of ONNX Runtime GenAI: <c>genai_config.json</c>, the model that its <c>model.decoder.filename</c> names, and the
/// tokenizer's files.
/// </summary>
internal sealed class GenAiFolder
{
    /// <summary>The file that makes a folder a GenAI folder.</summary>
    public const string ConfigName = "genai_config.json";

    private const string LibraryKey = "custom_ops_library";

    private readonly JsonObject _config;

    private GenAiFolder(string path, JsonObject config, string modelName)
    {
        Path = path;
        _config = config;
        ModelName = modelName;
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The model's path in the folder, as the configuration has it.</summary>
    public string ModelName { get; }

    /// <summary>The model.</summary>
    public string ModelPath => System.IO.Path.Combine(Path, ModelName);

    /// <summary>The configuration's file.</summary>
    public string ConfigPath => System.IO.Path.Combine(Path, ConfigName);

    /// <summary>The tokenizer's file, or null where the folder has none that we read.</summary>
    public string? TokenizerPath =>
        ((string[])["tokenizer.json", "tokenizer.model"]).Select(name => System.IO.Path.Combine(Path, name)).FirstOrDefault(File.Exists);

    /// <summary>The library of operators that the configuration asks for, or null.</summary>
    public string? OperatorLibrary => Decoder["session_options"] is JsonObject options && options[LibraryKey] is JsonValue value
        && value.TryGetValue(out string? name) ? name : null;

    private JsonObject Decoder => (JsonObject)_config["model"]!["decoder"]!;

    /// <summary>The model's file where <paramref name="path"/> is a GenAI folder; else the path as it is.</summary>
    /// <exception cref="ZqfpException">ZQFP0130: the folder's configuration names no model.</exception>
    public static string ModelOf(string path) => Find(path)?.ModelPath ?? path;

    /// <summary>The folder that <paramref name="path"/> is, or null where it is none.</summary>
    /// <exception cref="ZqfpException">ZQFP0130: its configuration names no model.</exception>
    public static GenAiFolder? Find(string path) => File.Exists(System.IO.Path.Combine(path, ConfigName)) ? Open(path) : null;

    /// <summary>Opens a folder.</summary>
    /// <param name="path">The folder, its configuration, or the model it names.</param>
    /// <exception cref="ZqfpException">ZQFP0130: there is no configuration, or it names no model of the folder.</exception>
    public static GenAiFolder Open(string path)
    {
        string folder = Directory.Exists(path) ? path : System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!;
        string file = System.IO.Path.Combine(folder, ConfigName);
        if (!File.Exists(file))
        {
            throw new ZqfpException(
                "ZQFP0130", $"There is no {ConfigName} in '{folder}'. Name a folder that ONNX Runtime GenAI's model builder made.", path);
        }

        JsonObject config = Read(file);
        var opened = new GenAiFolder(folder, config, ModelNameIn(config, file));
        if (!File.Exists(opened.ModelPath))
        {
            throw new ZqfpException(
                "ZQFP0130", $"The configuration names the model '{opened.ModelName}', which is not in the folder.", file);
        }

        if (!Directory.Exists(path) && System.IO.Path.GetFileName(path) != ConfigName && !RealPath.AreSame(path, opened.ModelPath))
        {
            throw new ZqfpException("ZQFP0130", $"The configuration beside the model names another one, '{opened.ModelName}'.", path);
        }

        return opened;
    }

    /// <summary>The configuration for the same folder with a library of operators, or without.</summary>
    /// <param name="library">The library's file name in the folder; null for none of ours, which leaves the configuration's own.</param>
    /// <exception cref="ZqfpException">ZQFP0133: the configuration asks for another library, and ONNX Runtime GenAI loads one.</exception>
    public string ConfigWith(string? library)
    {
        var config = (JsonObject)_config.DeepClone();
        if (library is not null)
        {
            if (OperatorLibrary is { } other && other != library)
            {
                throw new ZqfpException("ZQFP0133",
                    $"The configuration asks for the operators of '{other}', and ONNX Runtime GenAI loads one library. Use --profile stock "
                    + "or portable, which need none of ours.",
                    ConfigPath);
            }

            var decoder = (JsonObject)config["model"]!["decoder"]!;
            if (decoder["session_options"] is not JsonObject options)
            {
                decoder["session_options"] = options = [];
            }

            options[LibraryKey] = library;
        }

        return config.ToJsonString(new JsonSerializerOptions
        {
            WriteIndented = true,
            IndentSize = 4,
            NewLine = "\n",
            Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        }) + "\n";
    }

    private static JsonObject Read(string file)
    {
        try
        {
            var options = new JsonDocumentOptions
            {
                CommentHandling = JsonCommentHandling.Skip,
                AllowTrailingCommas = true,
                AllowDuplicateProperties = false,
            };
            JsonObject config = JsonNode.Parse(File.ReadAllText(file), documentOptions: options) as JsonObject
                ?? throw new JsonException("It must be an object.");

            // Texts that are no text, such as half of a surrogate pair, are found when they are written.
            config.ToJsonString();
            return config;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException("ZQFP0130", $"The configuration cannot be used: {e.Message}", file, e);
        }
    }

    private static string ModelNameIn(JsonObject config, string file)
    {
        if (config["model"] is not JsonObject model || model["decoder"] is not JsonObject decoder)
        {
            throw new ZqfpException("ZQFP0130", "The configuration has no object 'model.decoder'.", file);
        }

        if (decoder["filename"] is not JsonValue value || !value.TryGetValue(out string? name) || name.Length == 0)
        {
            string why = decoder.ContainsKey("pipeline")
                ? "has a pipeline of models instead of 'model.decoder.filename'; only a decoder of one model is quantized"
                : "has no 'model.decoder.filename'";
            throw new ZqfpException("ZQFP0130", $"The configuration {why}.", file);
        }

        if (System.IO.Path.IsPathRooted(name) || name.Split('/', '\\').Contains("..") || name.Contains('\0'))
        {
            throw new ZqfpException("ZQFP0130", $"The configuration names a model outside of the folder: '{name}'.", file);
        }

        return name;
    }
}
