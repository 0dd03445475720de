using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Zqfp.Evaluation;

/// <summary>
/// Keeps evaluation results in a folder under a key of everything they depend on: the code, the device, the model's bytes and the
/// token windows. Of two models compared it keeps three files: each model's result, and how far their predictions are apart. A file
/// that cannot be read counts as absent. What is unused goes after a month, and earlier where it takes more than 64 MiB.
/// </summary>
/// <param name="folder">The folder, or null to keep nothing.</param>
internal sealed class EvaluationCache(string? folder)
{
    private const long MaxUnusedBytes = 64 << 20;
    private const string Extension = ".json";

    private readonly KeptFiles? _kept = folder is null ? null : new KeptFiles(folder, Extension);

    /// <summary>The result for <paramref name="options"/>, from the folder or by evaluating.</summary>
    public EvaluationResult GetOrEvaluate(EvaluateOptions options, string phase, IJobObserver observer, CancellationToken cancellation) =>
        GetOrEvaluate(options, ModelFacts.Read(options.ModelPath, options.Logits), phase, observer, cancellation);

    /// <summary>The result for a model whose facts are known, from the folder or by evaluating.</summary>
    public EvaluationResult GetOrEvaluate(
        EvaluateOptions options, ModelFacts facts, string phase, IJobObserver observer, CancellationToken cancellation)
    {
        TokenWindowSet windows = LoadWindows(options, facts, cancellation);
        string? path = folder is null ? null : PathOf(windows, options, ContentHash.OfModel(options.ModelPath));
        if (Read<EvaluationResult>(path) is { } known)
        {
            return Plausibility.Checked(known, facts, observer);
        }

        EvaluationResult result = EvaluateJob.Run(options, facts, windows, phase, observer, cancellation);
        Write(path, result, observer);
        return Plausibility.Checked(result, facts, observer);
    }

    /// <summary>Both models' results and how far their predictions are apart, from the folder or by evaluating both side by side.</summary>
    public PairedEvaluation GetOrCompare(
        EvaluateOptions options, string againstPath, string phase, IJobObserver observer, CancellationToken cancellation)
    {
        ModelFacts reference = ModelFacts.Read(againstPath, options.Logits);
        ModelFacts facts = ModelFacts.Read(options.ModelPath, options.Logits);
        RequireSameVocabulary(facts, reference);
        TokenWindowSet windows = LoadWindows(options, facts, cancellation);
        if (folder is null)
        {
            return Checked(EvaluateJob.RunPair(options, reference, facts, windows, phase, observer, cancellation));
        }

        (byte[] referenceHash, byte[] modelHash) = (ContentHash.OfModel(againstPath), ContentHash.OfModel(options.ModelPath));
        string referenceFile = PathOf(windows, options, referenceHash);
        string modelFile = PathOf(windows, options, modelHash);
        string divergenceFile = PathOf(windows, options, referenceHash, modelHash);
        if (Read<EvaluationResult>(referenceFile) is { } knownReference && Read<EvaluationResult>(modelFile) is { } knownModel
            && Read<Divergence>(divergenceFile) is { } knownDivergence)
        {
            return Checked(new PairedEvaluation(knownReference, knownModel, knownDivergence));
        }

        PairedEvaluation pair = EvaluateJob.RunPair(options, reference, facts, windows, phase, observer, cancellation);
        Write(referenceFile, pair.Reference, observer);
        Write(modelFile, pair.Model, observer);
        Write(divergenceFile, pair.Divergence, observer);
        return Checked(pair);

        PairedEvaluation Checked(PairedEvaluation measured)
        {
            Plausibility.Checked(measured.Reference, reference, observer);
            Plausibility.Checked(measured.Model, facts, observer);
            return measured;
        }
    }

    /// <summary>A model's answers to a task, from the folder or by asking.</summary>
    public TaskResult GetOrAnswer(
        TaskOptions options, string modelPath, PreparedTask task, Func<TaskResult> answer, IJobObserver observer)
    {
        byte[] asked = Encoding.UTF8.GetBytes(task.Hash());
        string? path = folder is null
            ? null
            : Path.Combine(folder, Key(options, hash => hash.AppendData(asked), [ContentHash.OfModel(modelPath)]) + Extension);
        if (Read<TaskResult>(path) is { } known)
        {
            return known with { Name = task.Definition.Name };
        }

        TaskResult result = answer();
        Write(path, result, observer);
        return result;
    }

    /// <summary>
    /// Refuses what could not be compared by what the files say, before a text is read: it may hold tokens that one of the two does not
    /// know.
    /// </summary>
    /// <exception cref="ZqfpException">ZQFP3005: the vocabularies differ.</exception>
    public static void RequireSameVocabulary(ModelFacts facts, ModelFacts reference)
    {
        if (facts.Vocabulary is { } known && reference.Vocabulary is { } expected)
        {
            EvaluateJob.RequireSameVocabulary(expected, known, facts, reference);
        }
    }

    private static TokenWindowSet LoadWindows(EvaluateOptions options, ModelFacts facts, CancellationToken cancellation) =>
        TokenWindowSet.Load(options.TextPath, options.TokenizerPath, options.Window, options.Windows, facts, options.Reading,
            cancellation: cancellation);

    private string PathOf(TokenWindowSet windows, EvaluateOptions options, params byte[][] models) =>
        Path.Combine(folder!, Key(options, hash => hash.AppendWindows(windows.Windows), models) + Extension);

    /// <summary>A measurement that cannot be kept is still a measurement: the failure is a warning.</summary>
    private void Write<T>(string? path, T result, IJobObserver observer)
    {
        if (path is null)
        {
            return;
        }

        try
        {
            WholeFile.WriteText(path, JsonSerializer.Serialize(result));
            _kept!.Use(path);
            _kept.Prune(MaxUnusedBytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            observer.Warn(new Diagnostic("ZQFP0007", DiagnosticSeverity.Warning,
                $"The evaluation cache cannot be written, so the next evaluation measures again: {e.Message}", path));
        }
    }

    private T? Read<T>(string? path)
        where T : class
    {
        try
        {
            if (!File.Exists(path) || JsonSerializer.Deserialize<T>(File.ReadAllText(path)) is not { } kept)
            {
                return null;
            }

            _kept!.Use(path);
            return kept;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    private static string Key(MeasureOptions options, Action<IncrementalHash> appendTokens, byte[][] models)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{CodeIdentity.Value}|{options.Device}|{options.Logits}"));
        foreach (byte[] model in models)
        {
            hash.AppendData(model);
        }

        appendTokens(hash);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
