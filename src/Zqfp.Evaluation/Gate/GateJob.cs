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
        (EvaluationResult floating, EvaluationResult quantized, Divergence? divergence) = Evaluate(options, observer, cancellation);
        var comparison = Comparison.Of(floating, quantized, divergence);
        Comparison? regression = AgainstBaseline(options, floating, quantized, cancellation);
        var decision = GateDecision.Of(options, quantized, comparison, regression);
        foreach (Diagnostic warning in decision.Warnings)
        {
            observer.Warn(warning);
        }

        return new GateResult
        {
            Summary = Summarize(options, floating, quantized, comparison, regression),
            Float = floating,
            Quantized = quantized,
            Comparison = comparison,
            Regression = regression,
            Failure = decision.Failure,
            Warnings = decision.Warnings,
            MaxPerplexityIncrease = options.MaxPerplexityIncrease,
        };
    }

    /// <summary>
    /// One after the other, each from the cache where it is there: the paired difference needs only the windows' losses. Side by
    /// side only where the divergence is asked for.
    /// </summary>
    private static (EvaluationResult Float, EvaluationResult Quantized, Divergence? Divergence) Evaluate(
        GateOptions options, IJobObserver observer, CancellationToken cancellation)
    {
        ModelFacts reference = ModelFacts.Read(options.FloatModelPath, options.Logits);
        ModelFacts facts = ModelFacts.Read(options.ModelPath, options.Logits);
        EvaluationCache.RequireSameVocabulary(facts, reference);
        Plausibility.RequireRoles(options.FloatModelPath, options.ModelPath, observer);
        var cache = new EvaluationCache(options.CacheFolder);
        if (options.Divergence)
        {
            PairedEvaluation pair = cache.GetOrCompare(Evaluation(options, options.ModelPath), options.FloatModelPath,
                "Evaluating both models", observer, cancellation);
            return (pair.Reference, pair.Model, pair.Divergence);
        }

        EvaluationResult floating = cache.GetOrEvaluate(Evaluation(options, options.FloatModelPath), reference,
            "Evaluating the float model", observer, cancellation);
        return (floating, cache.GetOrEvaluate(Evaluation(options, options.ModelPath), facts, "Evaluating the quantized model",
            observer, cancellation), null);
    }

    /// <summary>
    /// The quantized model against its accepted result; null where there is no baseline, or where this result becomes it.
    /// </summary>
    private static Comparison? AgainstBaseline(
        GateOptions options, EvaluationResult floating, EvaluationResult quantized, CancellationToken cancellation)
    {
        if (options.BaselinePath is null)
        {
            return null;
        }

        string name = options.BaselineName ?? Path.GetFileName(options.ModelPath);
        if (options.UpdateBaseline)
        {
            GateBaseline.Record(options.BaselinePath, name, BaselineEntry.Of(floating, quantized), cancellation);
            return null;
        }

        return GateBaseline.Read(options.BaselinePath, cancellation).Find(name, quantized).Compare(quantized);
    }

    private static EvaluateOptions Evaluation(GateOptions options, string modelPath) => new()
    {
        ModelPath = modelPath,
        Logits = options.Logits,
        TextPath = options.TextPath,
        TokenizerPath = options.TokenizerPath,
        Reading = options.Reading,
        Window = options.Window,
        Windows = options.Windows,
        Threads = options.Threads,
        Device = options.Device,
    };

    private static string Summarize(
        GateOptions options, EvaluationResult floating, EvaluationResult quantized, Comparison comparison, Comparison? regression)
    {
        Dictionary<string, string> properties = Properties(options.ModelPath);
        string recipe = properties.GetValueOrDefault(ModelProperties.RecipeKey, "not quantized by zqfp");
        string layers = properties.GetValueOrDefault(ModelProperties.LayersKey, "0");
        string bits = properties.GetValueOrDefault(ModelProperties.BitsKey, "?");
        string limit = options.MaxPerplexityIncrease is { } most ? $", limit {SignedPercent.Short(most)}" : "";
        string divergence = comparison.Divergence is { } apart
            ? string.Create(CultureInfo.InvariantCulture,
                $"; KL divergence {apart.KullbackLeibler:0.####}, top-1 agreement {100 * apart.Top1Agreement:0.#} %")
            : "";
        string against = regression is null ? "" : $"; {GateDecision.Describe(regression)} against the baseline";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Path.GetFileName(options.ModelPath)}: {recipe}; {layers} layers at {bits} bits per weight; "
            + $"{Megabytes(options.FloatModelPath)} -> {Megabytes(options.ModelPath)}; perplexity {floating.Perplexity:F3} -> "
            + $"{quantized.Perplexity:F3}, {GateDecision.Describe(comparison)}{limit}{divergence}{against}");
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
