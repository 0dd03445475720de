using System.Globalization;
using Zqfp.Evaluation;

namespace Zqfp.Tool;

/// <summary>What <c>evaluate</c> prints.</summary>
internal static class MeasurementText
{
    public static string Describe(Measurement result)
    {
        bool areSeveral = result.Texts.Count > 1;
        IEnumerable<string> texts = result.Texts.Select(
            text => (areSeveral ? $"{Path.GetFileName(text.Path)}: " : "") + Describe(text.Result)
                + (text.Result.Against is { } comparison ? "\n" + Describe(comparison) : ""));
        string mean = string.Create(CultureInfo.InvariantCulture,
            $"mean of the {result.Texts.Count} perplexities {result.MeanPerplexity:0.0000}{Mean(result)}");
        return string.Join("\n", [.. texts, .. areSeveral ? (string[])[mean] : [], .. result.Tasks.Select(Describe)]);
    }

    private static string Mean(Measurement result)
    {
        Comparison[] comparisons = [.. result.Texts.Select(text => text.Result.Against).OfType<Comparison>()];
        double increase = comparisons.Select(comparison => comparison.PerplexityIncrease).DefaultIfEmpty().Average();
        return comparisons.Length > 0 ? $", against the other model {SignedPercent.Fixed(increase)} in the mean" : "";
    }

    private static string Describe(EvaluationResult result)
    {
        string error = result.StandardError is { } value
            ? string.Create(CultureInfo.InvariantCulture, $" (standard error {value:0.0000})")
            : "";
        string beginning = result.BeginningId is { } id
            ? string.Create(CultureInfo.InvariantCulture, $", each begun with token {id}")
            : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"perplexity {result.Perplexity:0.0000}{error} over {result.Windows} windows of {result.Window} tokens{beginning} "
            + $"({result.Tokens} tokens in the text)");
    }

    private static string Describe(Comparison comparison)
    {
        string worst = string.Join(", ",
            comparison.WorstWindows.Select(window => string.Create(
                CultureInfo.InvariantCulture, $"{window.Window} ({window.ReferenceLoss:0.000} -> {window.Loss:0.000})")));
        return $"against the other model {SignedPercent.Fixed(comparison.PerplexityIncrease)}"
            + $"{Describe(comparison.IncreaseInterval, SignedPercent.Fixed)}\nworst windows, nats a token: {worst}"
            + (comparison.Divergence is { } divergence ? "\n" + Describe(divergence) : "");
    }

    /// <summary>What llama.cpp's tool for it prints, in its order.</summary>
    private static string Describe(Divergence divergence) => string.Join("\n",
        $"KL divergence, nats a token: mean {Nats(divergence.KullbackLeibler)}{Describe(divergence.KullbackLeiblerInterval, Nats)}, "
            + Describe(divergence.KullbackLeiblerSpread, Nats),
        $"probability of the next token, change: mean {Share(divergence.DeltaP)}, root mean square "
            + $"{Share(divergence.RootMeanSquareDeltaP)}, " + Describe(divergence.DeltaPSpread, Share),
        $"top-1 agreement {Share(divergence.Top1Agreement)}{Describe(divergence.Top1Interval, Share)}; correlation of the losses "
            + Share(divergence.LossCorrelation));

    private static string Describe(Distribution spread, Func<double, string> format) =>
        $"max {format(spread.Maximum)}, 99.9 % {format(spread.P999)}, 99 % {format(spread.P99)}, 95 % {format(spread.P95)}, 90 % "
        + $"{format(spread.P90)}, median {format(spread.Median)}, 10 % {format(spread.P10)}, 5 % {format(spread.P5)}, 1 % "
        + $"{format(spread.P1)}, 0.1 % {format(spread.P01)}, min {format(spread.Minimum)}";

    private static string Describe(TaskResult task)
    {
        IEnumerable<string> metrics = task.Metrics.Select(metric => string.Create(CultureInfo.InvariantCulture,
            $"{metric.Name} {metric.Value:0.0000}{(metric.StandardError is { } error ? $" (standard error {error:0.0000})" : "")}"));
        string against = task.Against is { } comparison ? $"\n  against the other model {GateDecision.Describe(comparison)}" : "";
        return $"{task.Name}: {string.Join(", ", metrics)} over {task.Items.Count} questions{against}";
    }

    private static string Describe(Interval? interval, Func<double, string> format) =>
        interval is null ? "" : $" (95 % interval {format(interval.Low)} to {format(interval.High)})";

    private static string Nats(double value) => value.ToString("0.#####", CultureInfo.InvariantCulture);

    private static string Share(double value) => (100 * value).ToString("0.00", CultureInfo.InvariantCulture) + " %";
}
