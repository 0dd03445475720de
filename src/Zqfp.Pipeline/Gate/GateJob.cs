using System.Globalization;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using Zqfp.Pipeline.Diagnostics;
using Zqfp.Pipeline.Evaluate;
using Zqfp.Pipeline.Quantize;

namespace Zqfp.Pipeline.Gate;

/// <summary>Compares a quantized model with its float model over the same tokens and decides whether too much was lost.</summary>
public static class GateJob
{
    /// <summary>Evaluates both models, or takes their cached results, and applies the limits.</summary>
    /// <exception cref="PipelineException">The gate could not be decided; the code says why. A failed gate is a result, not an exception.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public static GateResult Run(GateOptions options, IJobObserver observer, CancellationToken cancellation) =>
        DiagnosticTranslator.Run(() =>
        {
            var cache = new EvaluationCache(options.CacheFolder);
            EvaluationResult floating = cache.GetOrEvaluate(Evaluation(options, options.FloatModelPath), "Evaluating the float model", observer, cancellation);
            EvaluationResult quantized = cache.GetOrEvaluate(Evaluation(options, options.ModelPath), "Evaluating the quantized model", observer, cancellation);
            double increase = (quantized.Perplexity / floating.Perplexity) - 1;
            return new GateResult
            {
                Summary = Summarize(options, floating, quantized, increase),
                Float = floating,
                Quantized = quantized,
                PerplexityIncrease = increase,
                Failure = Failure(options, quantized, increase),
            };
        });

    private static EvaluateOptions Evaluation(GateOptions options, string modelPath) => new()
    {
        ModelPath = modelPath,
        TextPath = options.TextPath,
        TokenizerPath = options.TokenizerPath,
        Window = options.Window,
        Windows = options.Windows,
        Threads = options.Threads,
    };

    private static Diagnostic? Failure(GateOptions options, EvaluationResult quantized, double increase)
    {
        const string Advice = "Put more work into it (preset best), raise the rank (32), use smaller groups (128), or accept the loss with a higher limit.";
        if (options.MaxPerplexityIncrease is { } limit && !(increase <= limit))
        {
            return Fail(options, $"Perplexity rose by {Percent(increase)}, more than the {Percent(limit)} allowed. {Advice}");
        }

        return options.MaxPerplexity is { } most && !(quantized.Perplexity <= most)
            ? Fail(options, string.Create(CultureInfo.InvariantCulture, $"Perplexity is {quantized.Perplexity:F3}, more than the {most} allowed. {Advice}"))
            : null;
    }

    private static Diagnostic Fail(GateOptions options, string message) =>
        new("ZQFP3001", DiagnosticSeverity.Error, message, options.ModelPath);

    private static string Summarize(GateOptions options, EvaluationResult floating, EvaluationResult quantized, double increase)
    {
        Dictionary<string, string> properties = Properties(options.ModelPath);
        string recipe = properties.GetValueOrDefault(ModelProperties.RecipeKey, "not quantized by zqfp");
        string layers = properties.GetValueOrDefault(ModelProperties.LayersKey, "0");
        string bits = properties.GetValueOrDefault(ModelProperties.BitsKey, "?");
        string limit = options.MaxPerplexityIncrease is { } most ? $", limit {Percent(most)}" : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Path.GetFileName(options.ModelPath)}: {recipe}; {layers} layers at {bits} bits per weight; {Megabytes(options.FloatModelPath)} -> {Megabytes(options.ModelPath)}; perplexity {floating.Perplexity:F3} -> {quantized.Perplexity:F3} ({Percent(increase)}{limit})");
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

    private static string Percent(double fraction) =>
        string.Create(CultureInfo.InvariantCulture, $"{(fraction >= 0 ? "+" : "")}{100 * fraction:0.##} %");
}
