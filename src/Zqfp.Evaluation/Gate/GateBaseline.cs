using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Zqfp.Evaluation;

/// <summary>A model's result when somebody last accepted it.</summary>
/// <param name="Perplexity">The quantized model's perplexity; for people, the losses below decide.</param>
/// <param name="FloatPerplexity">The float model's.</param>
/// <param name="Text">Hash of the token windows measured.</param>
/// <param name="Window">Tokens in a window.</param>
/// <param name="WindowLosses">Loss of each window in nats a token, to five decimals.</param>
internal sealed record BaselineEntry(double Perplexity, double FloatPerplexity, string Text, int Window, IReadOnlyList<double> WindowLosses)
{
    private const int Decimals = 5;

    /// <summary>What is to be remembered of a gate's measurements.</summary>
    public static BaselineEntry Of(EvaluationResult floating, EvaluationResult quantized) => new(
        Math.Round(quantized.Perplexity, Decimals),
        Math.Round(floating.Perplexity, Decimals),
        quantized.TextHash,
        quantized.Window,
        [.. quantized.WindowLosses.Select(loss => Math.Round(loss, Decimals))]);

    /// <summary>A later result against this one.</summary>
    public Comparison Compare(EvaluationResult quantized) => Comparison.Of(
        quantized with { Perplexity = Perplexity, WindowLosses = WindowLosses }, quantized);
}

/// <summary>
/// The file of accepted results, committed beside the project: one entry for each model by name. It changes only when asked to.
/// </summary>
internal sealed class GateBaseline
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    };

    private readonly string _path;
    private readonly SortedDictionary<string, BaselineEntry> _models;

    private GateBaseline(string path, SortedDictionary<string, BaselineEntry> models)
    {
        _path = path;
        _models = models;
    }

    /// <summary>Reads the file; one that is not there has no entries.</summary>
    /// <exception cref="ZqfpException">ZQFP0013: the file is none of this kind.</exception>
    public static GateBaseline Read(string path)
    {
        if (Directory.Exists(path))
        {
            throw new ZqfpException("ZQFP0013", $"The baseline '{path}' is a folder. Name the file, such as zqfp.baseline.json.", path);
        }

        try
        {
            // Ordinal, so that the order of a committed file is the same on every machine.
            var models = new SortedDictionary<string, BaselineEntry>(StringComparer.Ordinal);
            if (Path.Exists(path))
            {
                Dictionary<string, BaselineEntry?> read = JsonSerializer.Deserialize<Dictionary<string, BaselineEntry?>>(
                    File.ReadAllText(path), Json) ?? throw new JsonException("The file is empty.");
                foreach ((string name, BaselineEntry? entry) in read)
                {
                    models.Add(name, entry ?? throw new JsonException($"The entry of '{name}' is empty."));
                }
            }

            return new GateBaseline(path, models);
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException("ZQFP0013",
                $"The baseline cannot be read: {e.Message} Take it from version control again, or delete it and record a new one.",
                path, e);
        }
    }

    /// <summary>Refuses a file that could not be written.</summary>
    /// <exception cref="ZqfpException">ZQFP0013: it cannot be written.</exception>
    public static void RequireWritable(string path)
    {
        path = RealPath.Of(path);
        if (WritablePlace.ProblemOfFile(path) is { } problem)
        {
            throw new ZqfpException("ZQFP0013", $"The baseline cannot be written: {problem}", path);
        }
    }

    /// <summary>Replaces a model's entry in the file; the others stay, also those that other processes write at the same time.</summary>
    /// <remarks>Several projects that share the file are built at once: each waits for the others.</remarks>
    /// <exception cref="ZqfpException">
    /// ZQFP0013: the file is none of this kind, or cannot be written.
    /// </exception>
    public static void Record(string path, string name, BaselineEntry entry, IJobObserver observer, CancellationToken cancellation)
    {
        // A link to the file that several projects share stands for that file.
        path = RealPath.Of(path);
        using OutputLocks only = Lock(path, observer, cancellation);
        GateBaseline baseline = Read(path);
        baseline._models[name] = entry;
        baseline.Write();
    }

    private static OutputLocks Lock(string path, IJobObserver observer, CancellationToken cancellation)
    {
        try
        {
            return OutputLocks.Acquire([path], line => observer.Note(line), cancellation);
        }
        catch (ZqfpException e) when (e.Code == OutputLocks.CannotLock)
        {
            throw new ZqfpException("ZQFP0013", $"The baseline cannot be written: {e.Message}", path, e);
        }
    }

    /// <summary>The accepted result of a model, which must be of the same tokens.</summary>
    /// <exception cref="ZqfpException">ZQFP3007: there is none, or of other tokens.</exception>
    public BaselineEntry Find(string name, EvaluationResult quantized)
    {
        const string Record =
            "Look at the new result, then record it with --update-baseline (in a build: -p:ZqfpUpdateBaseline=true) and commit the file.";
        if (!_models.TryGetValue(name, out BaselineEntry? entry))
        {
            throw new ZqfpException("ZQFP3007", $"The baseline has no entry for '{name}'. {Record}", _path);
        }

        return entry.Text == quantized.TextHash && entry.Window == quantized.Window && entry.WindowLosses.Count == quantized.Windows
            ? entry
            : throw new ZqfpException("ZQFP3007", $"The baseline of '{name}' was measured on {entry.WindowLosses.Count} windows of "
                + $"{entry.Window} tokens that are not those of now: the text, the tokenizer or the windows changed. {Record}", _path);
    }

    private void Write()
    {
        try
        {
            WholeFile.WriteText(_path, JsonSerializer.Serialize(_models, Json) + "\n");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException("ZQFP0013", $"The baseline cannot be written: {NewFile.Explain(e)}", _path, e);
        }
    }
}
