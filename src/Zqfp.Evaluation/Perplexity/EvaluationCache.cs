using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Zqfp.Evaluation;

/// <summary>
/// Keeps evaluation results in a folder under a key of everything they depend on: the code, the device, the model's bytes and the
/// token windows. Of two models compared it keeps three files: each model's result, and how far their predictions are apart. A file
/// that does not fit counts as absent. What is unused goes after a month, and earlier where it takes more than 64 MiB.
/// </summary>
/// <param name="folder">The folder, or null to keep nothing.</param>
internal sealed class EvaluationCache(string? folder)
{
    private const long MaxUnusedBytes = 64 << 20;
    private const string Extension = ".evaluation";

    private readonly KeptFiles? _kept = folder is null ? null : Open(folder);

    /// <summary>The result for <paramref name="options"/>, from the folder or by evaluating.</summary>
    public EvaluationResult GetOrEvaluate(EvaluateOptions options, string phase, IJobObserver observer, CancellationToken cancellation) =>
        GetOrEvaluate(options, ModelFacts.Read(options.ModelPath, options.Logits), phase, observer, cancellation);

    /// <summary>The result for a model whose facts are known, from the folder or by evaluating.</summary>
    public EvaluationResult GetOrEvaluate(
        EvaluateOptions options, ModelFacts facts, string phase, IJobObserver observer, CancellationToken cancellation)
    {
        InputFiles inputs = TextsOf(options, cancellation);
        TokenWindowSet windows = LoadWindows(options, facts, cancellation);
        string key = Key(windows, options, HashOf(facts, inputs, cancellation));
        if (Read<EvaluationResult>(key, observer) is { } known)
        {
            return Plausibility.Checked(known, facts, observer);
        }

        EvaluationResult result = EvaluateJob.Run(options, facts, windows, phase, observer, cancellation);
        RequireUnchanged(inputs, cancellation);
        Write(key, result, observer);
        return Plausibility.Checked(result, facts, observer);
    }

    /// <summary>Both models' results and how far their predictions are apart, from the folder or by evaluating both side by side.</summary>
    public PairedEvaluation GetOrCompare(
        EvaluateOptions options, string againstPath, string phase, IJobObserver observer, CancellationToken cancellation)
    {
        ModelFacts reference = ModelFacts.Read(againstPath, options.Logits);
        ModelFacts facts = ModelFacts.Read(options.ModelPath, options.Logits);
        RequireSameVocabulary(facts, reference);
        InputFiles inputs = TextsOf(options, cancellation);
        TokenWindowSet windows = LoadWindows(options, facts, cancellation);
        byte[] referenceHash = HashOf(reference, inputs, cancellation);
        byte[] modelHash = HashOf(facts, inputs, cancellation);
        string referenceKey = Key(windows, options, referenceHash);
        string modelKey = Key(windows, options, modelHash);
        string divergenceKey = Key(windows, options, referenceHash, modelHash);
        if (Read<EvaluationResult>(referenceKey, observer) is { } knownReference
            && Read<EvaluationResult>(modelKey, observer) is { } knownModel
            && Read<Divergence>(divergenceKey, observer) is { } knownDivergence)
        {
            return Checked(new PairedEvaluation(knownReference, knownModel, knownDivergence));
        }

        PairedEvaluation pair = EvaluateJob.RunPair(options, reference, facts, windows, phase, observer, cancellation);
        RequireUnchanged(inputs, cancellation);
        Write(referenceKey, pair.Reference, observer);
        Write(modelKey, pair.Model, observer);
        Write(divergenceKey, pair.Divergence, observer);
        return Checked(pair);

        PairedEvaluation Checked(PairedEvaluation measured)
        {
            Plausibility.Checked(measured.Reference, reference, observer);
            Plausibility.Checked(measured.Model, facts, observer);
            return measured;
        }
    }

    /// <summary>A model's answers to a task, from the folder or by asking.</summary>
    /// <param name="options">What is asked.</param>
    /// <param name="facts">The model.</param>
    /// <param name="inputs">The inputs of all tasks that one session of the model answers; the model is added.</param>
    /// <param name="task">The task.</param>
    /// <param name="answer">Asks the model.</param>
    /// <param name="observer">Where this reports to.</param>
    /// <param name="cancellation">Ends reading the model.</param>
    public TaskResult GetOrAnswer(TaskOptions options, ModelFacts facts, InputFiles inputs, PreparedTask task, Func<TaskResult> answer,
        IJobObserver observer, CancellationToken cancellation)
    {
        byte[] asked = Encoding.UTF8.GetBytes(task.Hash());
        string key = Key(options, hash => hash.AppendData(asked), [HashOf(facts, inputs, cancellation)]);
        if (Read<TaskResult>(key, observer) is { } known)
        {
            return known with { Name = task.Definition.Name };
        }

        TaskResult result = answer();
        RequireUnchanged(inputs, cancellation);
        Write(key, result, observer);
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

    private static InputFiles TextsOf(EvaluateOptions options, CancellationToken cancellation)
    {
        var inputs = new InputFiles();
        inputs.AddTexts(options.TextPath, options.TokenizerPath, cancellation);
        return inputs;
    }

    /// <summary>The hash of a model's files, which become inputs as they were when its facts were read.</summary>
    private static byte[] HashOf(ModelFacts facts, InputFiles inputs, CancellationToken cancellation)
    {
        inputs.Add(facts.Path, facts.Stamp, cancellation);
        return ContentHash.OfModel(facts.Path, inputs, cancellation);
    }

    /// <summary>What is kept is confirmed by content; what is only shown, by what the system says of the files.</summary>
    private void RequireUnchanged(InputFiles inputs, CancellationToken cancellation)
    {
        if (folder is null)
        {
            inputs.RequireUnchanged(cancellation);
        }
        else
        {
            inputs.RequireUnchangedContent(cancellation);
        }
    }

    /// <exception cref="ZqfpException">ZQFP0007: there is a file of the folder's name.</exception>
    private static KeptFiles Open(string folder) => File.Exists(folder)
        ? throw new ZqfpException("ZQFP0007", $"'{folder}' is a file. Choose another --cache folder.", folder)
        : new KeptFiles(folder, Extension);

    /// <summary>A measurement that cannot be kept is still a measurement: the failure is a warning.</summary>
    private void Write<T>(string key, T result, IJobObserver observer)
    {
        if (folder is null)
        {
            return;
        }

        string path = PathOf(key);
        try
        {
            KeptFile.Write(path, KindOf<T>(), key, JsonSerializer.SerializeToUtf8Bytes(result));
            _kept!.Use(path);
            _kept.Prune(MaxUnusedBytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            observer.Warn(new Diagnostic("ZQFP0007", DiagnosticSeverity.Warning,
                $"The evaluation cache cannot be written, so the next evaluation measures again: {NewFile.Explain(e)}", path));
        }
    }

    private T? Read<T>(string key, IJobObserver observer)
        where T : class
    {
        if (folder is null || KeptFile.Read(PathOf(key), KindOf<T>(), key, Unfit) is not { } content)
        {
            return null;
        }

        try
        {
            T? kept = JsonSerializer.Deserialize<T>(content);
            _kept!.Use(PathOf(key));
            return kept;
        }
        catch (JsonException)
        {
            Unfit(PathOf(key));
            return null;
        }

        void Unfit(string path) => observer.Note($"'{path}' is damaged or of another version: it is measured again.", isDetail: true);
    }

    private string PathOf(string key) => Path.Combine(folder!, key + Extension);

    private static string KindOf<T>() =>
        typeof(T) == typeof(Divergence) ? "divergence" : typeof(T) == typeof(TaskResult) ? "task" : "evaluation";

    private static string Key(TokenWindowSet windows, EvaluateOptions options, params byte[][] models) =>
        Key(options, hash => hash.AppendWindows(windows.Windows), models);

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
