using System.Globalization;

namespace Zqfp.Evaluation;

/// <summary>
/// The gate's rule: a measurement fails when it is beyond its limit and so is the nearer end of its 95 % interval, that is beyond the
/// noise of the text or of the questions. With fewer windows than an interval needs the measurement itself decides, and so it does for
/// perplexity, whose uncertainty is the choice of the text, not the model's.
/// </summary>
/// <param name="Failure">Why the gate failed, or null.</param>
/// <param name="Warnings">What is beyond its limit, but within the noise.</param>
internal sealed record GateDecision(Diagnostic? Failure, IReadOnlyList<Diagnostic> Warnings)
{
    private const string FloatAdvice =
        "Put more work into it (preset best), raise the rank (32), use smaller groups (128), or accept the loss with a higher limit.";

    private const string BaselineAdvice =
        "Find what changed, or accept the new result with --update-baseline (in a build: -p:ZqfpUpdateBaseline=true).";

    /// <summary>Applies the limits.</summary>
    /// <param name="options">The limits.</param>
    /// <param name="text">Both models on the text; null without one.</param>
    /// <param name="regression">The quantized model against the baseline's result, where there is one.</param>
    /// <param name="tasks">Both models on the tasks.</param>
    public static GateDecision Of(
        GateOptions options, GatedText? text, Comparison? regression = null, IReadOnlyList<TaskComparison>? tasks = null)
    {
        List<Diagnostic> warnings = [];
        IEnumerable<GateLimit> ofText = text is null ? [] : OfText(options, text, regression);
        Diagnostic? failure = ofText.Concat((tasks ?? []).Select(task => OfTask(options, task)))
            .Select(limit => limit.Judge(options.ModelPath, warnings))
            .FirstOrDefault(failed => failed is not null);
        return new GateDecision(failure, failure is null ? warnings : []);
    }

    /// <summary>The increase and its interval, such as <c>+3.49 % (95 % interval +3.31 % to +3.67 %)</c>.</summary>
    public static string Describe(Comparison comparison) =>
        SignedPercent.Short(comparison.PerplexityIncrease) + Describe(comparison.IncreaseInterval, SignedPercent.Short);

    /// <summary>A task's accuracies and the drop, such as <c>0.780 -> 0.765, -1.5 points (95 % interval -3.9 to +0.8)</c>.</summary>
    public static string Describe(TaskComparison task)
    {
        var change = new Interval(-task.DropInterval.High, -task.DropInterval.Low);
        return string.Create(CultureInfo.InvariantCulture,
            $"{task.ReferenceAccuracy:F3} -> {task.Accuracy:F3}, {Points(-task.Drop)} points{Describe(change, Points)}");
    }

    private static IEnumerable<GateLimit> OfText(GateOptions options, GatedText text, Comparison? regression)
    {
        if (options.MaxPerplexityIncrease is { } increase)
        {
            yield return Increase("ZQFP3001", "Perplexity rose by", text.Comparison, increase, FloatAdvice, text);
        }

        if (options.MaxPerplexity is { } most)
        {
            yield return new GateLimit("ZQFP3001", text.Quantized.Perplexity, null, most, IsMost: true, Windows(text), FloatAdvice,
                string.Create(CultureInfo.InvariantCulture, $"Perplexity is {text.Quantized.Perplexity:F3}, more than the {most} allowed"));
        }

        if (regression is not null)
        {
            yield return Increase(
                "ZQFP3006", "Compared with the baseline perplexity rose by", regression, options.MaxRegression, BaselineAdvice, text);
        }

        if (options.MaxKullbackLeibler is { } divergence && text.Comparison.Divergence is { } apart)
        {
            yield return new GateLimit("ZQFP3016", apart.KullbackLeibler, apart.KullbackLeiblerInterval, divergence, IsMost: true,
                Windows(text), FloatAdvice,
                $"The KL divergence is {Nats(apart.KullbackLeibler)} nats a token{Describe(apart.KullbackLeiblerInterval, Nats)}, more "
                + $"than the {Nats(divergence)} allowed");
        }

        if (options.MinTop1Agreement is { } least && text.Comparison.Divergence is { } agreed)
        {
            yield return new GateLimit(
                "ZQFP3016", agreed.Top1Agreement, agreed.Top1Interval, least, IsMost: false, Windows(text), FloatAdvice,
                $"Both models find the same token likeliest for {Share(agreed.Top1Agreement)} of the tokens"
                + $"{Describe(agreed.Top1Interval, Share)}, less than the {Share(least)} demanded");
        }
    }

    private static GateLimit Increase(string code, string what, Comparison measured, double limit, string advice, GatedText text) => new(
        code, measured.PerplexityIncrease, measured.IncreaseInterval, limit, IsMost: true, Windows(text), advice,
        $"{what} {Describe(measured)}, more than the {SignedPercent.Short(limit)} allowed");

    private static GateLimit OfTask(GateOptions options, TaskComparison task) => new(
        "ZQFP3017", task.Drop, task.DropInterval, options.MaxDrop, IsMost: true, new Evidence(task.Questions, "questions"), FloatAdvice,
        string.Create(CultureInfo.InvariantCulture,
            $"Task '{task.Name}': {Describe(task)}, more than the drop of {100 * options.MaxDrop:0.##} points allowed"));

    private static Evidence Windows(GatedText text) => new(text.Quantized.Windows, "windows");

    private static string Describe(Interval? interval, Func<double, string> format) =>
        interval is null ? "" : $" (95 % interval {format(interval.Low)} to {format(interval.High)})";

    private static string Points(double share) => (100 * share).ToString("+0.0#;-0.0#;0.0", CultureInfo.InvariantCulture);

    private static string Nats(double value) => value.ToString("0.####", CultureInfo.InvariantCulture);

    private static string Share(double value) => (100 * value).ToString("0.##", CultureInfo.InvariantCulture) + " %";
}
