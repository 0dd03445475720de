using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Zqfp.Evaluation;
using Zqfp.Quantization;

namespace Zqfp.Reporting;

/// <summary>
/// Makes files for people and programs of what quantizing and measuring a model gave, or several models side by side: one HTML page that
/// needs no network and no other file, Markdown for the summary of a CI job, or all results as one JSON value.
/// </summary>
internal static class ReportJob
{
    private const string Quantize = "quantize --json";
    private const string Gate = "gate --json";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter() },
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Writes the report. The same results give the same bytes.</summary>
    /// <exception cref="ZqfpException">ZQFP0011: a file is no result of this tool. ZQFP0002: the report cannot be written.</exception>
    public static void Write(ReportOptions options)
    {
        ReportedModel[] models = [.. options.Sources.Select(Read)];
        (string Path, string Content)[] files = Render(options, models);
        string[] inputs = [.. options.Sources.SelectMany(source => (string?[])[source.QuantizationPath, source.GatePath]).OfType<string>()];
        if (files.FirstOrDefault(file => inputs.Any(input => RealPath.AreSame(input, file.Path))).Path is { } overwritten)
        {
            throw new ZqfpException("ZQFP0002", "The report would overwrite what it is made from. Choose another --output.", overwritten);
        }

        foreach (string path in options.OutputPaths)
        {
            if (WritablePlace.ProblemOfFile(path) is { } problem)
            {
                throw new ZqfpException("ZQFP0002", $"The report cannot be written: {problem} Choose another --output.", path);
            }
        }

        foreach ((string path, string content) in files)
        {
            try
            {
                WholeFile.WriteText(path, content);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new ZqfpException("ZQFP0002", $"The report cannot be written: {NewFile.Explain(e)}", path, e);
            }
        }
    }

    private static ReportedModel Read(ReportSource source)
    {
        (string path, string? gatePath) = source;
        QuantizeReport quantization = Read<QuantizeReport>(path, Quantize);
        GateResult? gate = gatePath is null ? null : Read<GateResult>(gatePath, Gate);
        Require(quantization.Layers.Count > 0 && quantization.Layers.All(layer => layer is not null), path, Quantize,
            "There are no layers, or one is null.");
        Require(quantization.Warnings.All(warning => warning is not null), path, Quantize, "A warning is null.");
        Require(gate is null || (gate.Warnings.All(warning => warning is not null) && gate.Tasks.All(task => task is not null)
                && gate.Comparison?.WorstWindows.All(window => window is not null) is not false),
            gatePath!, Gate, "A warning, a task or a window is null.");
        Require(gate?.Text is not { Float.WindowLosses.Count: 0 } && gate?.Float?.WindowLosses.Count == gate?.Quantized?.WindowLosses.Count,
            gatePath!, Gate, "The windows of the two models are not the same, or none.");
        return new ReportedModel(quantization, gate);
    }

    /// <summary>The results come from files: whatever in them cannot be shown was not written by this tool.</summary>
    private static (string Path, string Content)[] Render(ReportOptions options, ReportedModel[] models)
    {
        try
        {
            return [.. options.OutputPaths.Select(path => (path, Render(path, models)))];
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or OverflowException)
        {
            ReportSource first = options.Sources[0];
            throw NoResult(first.GatePath ?? first.QuantizationPath, first.GatePath is null ? Quantize : Gate, e.Message, e);
        }
    }

    private static string Render(string path, ReportedModel[] models)
    {
        (QuantizeReport quantization, GateResult? gate) = models[0];
        bool isOne = models.Length == 1;
        return Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".html" or ".htm" => isOne ? HtmlReport.Render(quantization, gate) : ComparisonReport.RenderHtml(models),
            ".md" => isOne ? MarkdownReport.Render(quantization, gate) : ComparisonReport.RenderMarkdown(models),
            ".json" => JsonSerializer.Serialize<object>(isOne ? models[0] : models, Json) + "\n",
            _ => throw new ZqfpException(
                "ZQFP0002", "What kind of report it is to be is said by the file's end: .html, .md or .json.", path),
        };
    }

    private static T Read<T>(string path, string source)
        where T : class
    {
        string text;
        if (Directory.Exists(path))
        {
            throw NoResult(path, source, "it is a folder.");
        }

        try
        {
            text = File.ReadAllText(path);
            using var document = JsonDocument.Parse(text);
            if (WriterOf(document.RootElement) is { } other && other != source)
            {
                throw NoResult(path, source, $"it is what 'dotnet zqfp {other}' writes. Are the two files swapped?");
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw NoResult(path, source, e.Message, e);
        }

        try
        {
            return JsonSerializer.Deserialize<T>(text, Json) ?? throw NoResult(path, source, "it holds nothing.");
        }
        catch (JsonException e)
        {
            throw NoResult(path, source, Describe(e), e);
        }
    }

    /// <summary>The command whose result this is, or null.</summary>
    private static string? WriterOf(JsonElement root) =>
        root.ValueKind != JsonValueKind.Object ? null
        : root.TryGetProperty("layers", out _) && root.TryGetProperty("recipe", out _) ? Quantize
        : root.TryGetProperty("float", out _) && root.TryGetProperty("quantized", out _) ? Gate
        : null;

    /// <summary>What is wrong in words of the file: the serializer's own name types of this program.</summary>
    private static string Describe(JsonException exception)
    {
        const string Including = "including: ";
        int missing = exception.Message.IndexOf(Including, StringComparison.Ordinal);
        string place = exception.Path is { Length: > 0 } path && path != "$" ? $" at '{path}'" : "";
        return missing >= 0
            ? $"it lacks {exception.Message[(missing + Including.Length)..].Split(". ")[0].TrimEnd('.')}{place}."
            : $"the value{place} is of another kind.";
    }

    private static void Require(bool holds, string path, string source, string otherwise)
    {
        if (!holds)
        {
            throw NoResult(path, source, otherwise);
        }
    }

    private static ZqfpException NoResult(string path, string source, string why, Exception? inner = null) =>
        new ZqfpException("ZQFP0011", $"'{path}' is not what 'dotnet zqfp {source}' writes: {why}", path, inner);
}
