using System.Globalization;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Evaluation;

/// <summary>Compares a quantized model with its float model over the same tokens and decides whether too much was lost.</summary>
internal static class GateJob
{
    /// <summary>Evaluates both models, or takes their cached results, and applies the limits.</summary>
    /// <exception cref="ZqfpException">
    /// The gate could not be decided; the code says why. A failed gate is a result, not an exception.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public static GateResult Run(GateOptions options, IJobObserver observer, CancellationToken cancellation)
    {
        options = options.InGenAiFolders();
        var cache = new EvaluationCache(options.CacheFolder);
        GateBaseline? baseline = Baseline(options);
        ModelFacts reference = ModelFacts.Read(options.FloatModelPath, options.Logits);
        ModelFacts facts = ModelFacts.Read(options.ModelPath, options.Logits);
        EvaluationCache.RequireSameVocabulary(facts, reference);
        Plausibility.RequireRoles(reference, facts, observer, cancellation);
        GatedText? text = options.TextPath is { } path ? Evaluate(options, cache, path, facts, reference, observer, cancellation) : null;
        Comparison? regression = text is null ? null : AgainstBaseline(options, baseline, text);
        var asked = new TaskOptions(Measuring(options, options.ModelPath) with { AgainstPath = options.FloatModelPath }, options.Tasks);
        TaskComparison[] tasks = [.. TaskJob.Run(asked, observer, cancellation).Select(Compared)];
        var decision = GateDecision.Of(options, text, regression, tasks);
        foreach (Diagnostic warning in decision.Warnings)
        {
            observer.Warn(warning);
        }

        string summary = Summarize(options, text, regression, tasks);
        if (text is not null && options is { UpdateBaseline: true, BaselinePath: { } accepted })
        {
            // Last: nothing that can fail comes behind it.
            GateBaseline.Record(accepted, NameOf(options), BaselineEntry.Of(text.Float, text.Quantized), observer, cancellation);
        }

        return new GateResult
        {
            Summary = summary,
            Float = text?.Float,
            Quantized = text?.Quantized,
            Comparison = text?.Comparison,
            Regression = regression,
            Tasks = tasks,
            Failure = decision.Failure,
            Warnings = decision.Warnings,
            MaxPerplexityIncrease = text is null ? null : options.MaxPerplexityIncrease,
        };
    }

    private static TaskComparison Compared(TaskResult result) => result.Against ?? throw new ZqfpException("ZQFP0135",
        $"Task '{result.Name}' has no right answers, so there is no accuracy to gate. Gate perplexity on a text instead.");

    /// <summary>
    /// One after the other, each from the cache where it is there: the paired difference needs only the windows' losses. Side by
    /// side only where the divergence is asked for.
    /// </summary>
    private static GatedText Evaluate(
        GateOptions options, EvaluationCache cache, string textPath, ModelFacts facts, ModelFacts reference, IJobObserver observer,
        CancellationToken cancellation)
    {
        if (options.NeedsDivergence)
        {
            PairedEvaluation pair = cache.GetOrCompare(Evaluation(options, textPath, options.ModelPath), options.FloatModelPath,
                "Evaluating both models", observer, cancellation);
            return new GatedText(pair.Reference, pair.Model, Comparison.Of(pair.Reference, pair.Model, pair.Divergence));
        }

        EvaluationResult floating = cache.GetOrEvaluate(Evaluation(options, textPath, options.FloatModelPath), reference,
            "Evaluating the float model", observer, cancellation);
        EvaluationResult quantized = cache.GetOrEvaluate(Evaluation(options, textPath, options.ModelPath), facts,
            "Evaluating the quantized model", observer, cancellation);
        return new GatedText(floating, quantized, Comparison.Of(floating, quantized));
    }

    /// <summary>The baseline to compare with or to write to, before any work.</summary>
    /// <exception cref="ZqfpException">ZQFP0013: it cannot be read, or not written where that is asked for.</exception>
    private static GateBaseline? Baseline(GateOptions options)
    {
        if (options.BaselinePath is not { } path)
        {
            return null;
        }

        if (options.UpdateBaseline)
        {
            GateBaseline.RequireWritable(path);
        }

        return GateBaseline.Read(path);
    }

    /// <summary>
    /// The quantized model against its accepted result; null where there is no baseline, or where this result becomes it.
    /// </summary>
    private static Comparison? AgainstBaseline(GateOptions options, GateBaseline? baseline, GatedText text) =>
        baseline is null || options.UpdateBaseline
            ? null
            : baseline.Find(NameOf(options), text.Quantized).Compare(text.Quantized);

    private static string NameOf(GateOptions options) => options.BaselineName ?? Path.GetFileName(options.ModelPath);

    private static EvaluateOptions Evaluation(GateOptions options, string textPath, string modelPath) =>
        new(Measuring(options, modelPath), textPath) { Windows = options.Windows };

    private static MeasureOptions Measuring(GateOptions options, string modelPath) => new()
    {
        ModelPath = modelPath,
        Logits = options.Logits,
        TokenizerPath = options.TokenizerPath,
        Reading = options.Reading,
        Window = options.Window,
        CacheFolder = options.CacheFolder,
        Threads = options.Threads,
        Device = options.Device,
    };

    private static string Summarize(
        GateOptions options, GatedText? text, Comparison? regression, IReadOnlyList<TaskComparison> tasks)
    {
        Dictionary<string, string> properties = Properties(options.ModelPath);
        string recipe = properties.GetValueOrDefault(ModelProperties.RecipeKey, "not quantized by zqfp");
        string layers = properties.GetValueOrDefault(ModelProperties.LayersKey, "0");
        string bits = properties.GetValueOrDefault(ModelProperties.BitsKey, "?");
        return string.Join("; ",
        [
            $"{Path.GetFileName(options.ModelPath)}: {recipe}",
            $"{layers} layers at {bits} bits per weight",
            $"{Megabytes(options.FloatModelPath)} -> {Megabytes(options.ModelPath)}",
            .. text is null ? [] : OfText(options, text),
            .. regression is null ? [] : (string[])[$"{GateDecision.Describe(regression)} against the baseline"],
            .. tasks.Select(task => $"{task.Name} {GateDecision.Describe(task)}"),
        ]);
    }

    private static IEnumerable<string> OfText(GateOptions options, GatedText text)
    {
        string limit = options.MaxPerplexityIncrease is { } most ? $", limit {SignedPercent.Short(most)}" : "";
        yield return string.Create(CultureInfo.InvariantCulture,
            $"perplexity {text.Float.Perplexity:F3} -> {text.Quantized.Perplexity:F3}, {GateDecision.Describe(text.Comparison)}{limit}");
        if (text.Comparison.Divergence is { } apart)
        {
            yield return string.Create(CultureInfo.InvariantCulture,
                $"KL divergence {apart.KullbackLeibler:0.####}, top-1 agreement {100 * apart.Top1Agreement:0.#} %");
        }
    }

    private static Dictionary<string, string> Properties(string modelPath)
    {
        using OnnxFile file = OnnxFile.Open(modelPath);
        Dictionary<string, string> properties = [];
        foreach (StringStringEntryProto entry in file.Envelope.MetadataProps)
        {
            properties[entry.Key] = entry.Value;
        }

        return properties;
    }

    private static string Megabytes(string modelPath) =>
        string.Create(CultureInfo.InvariantCulture, $"{ModelFiles.Bytes(modelPath) / 1e6:F1} MB");
}
