using System.Globalization;

namespace Zqfp.Evaluation;

/// <summary>
/// The gate's rule. An increase of perplexity, over the float model's or over the baseline's, fails when it is above its limit
/// beyond the noise of the text: when the lower end of its 95 % interval is above the limit. With fewer windows than an interval
/// needs the measured increase decides, and so it does for perplexity itself, whose uncertainty is the choice of the text, not
/// the model's.
/// </summary>
/// <param name="Failure">Why the gate failed, or null.</param>
/// <param name="Warnings">What is above its limit, but within the noise.</param>
internal sealed record GateDecision(Diagnostic? Failure, IReadOnlyList<Diagnostic> Warnings)
{
    private const string FloatAdvice =
        "Put more work into it (preset best), raise the rank (32), use smaller groups (128), or accept the loss with a higher limit.";

    private const string BaselineAdvice =
        "Find what changed, or accept the new result with --update-baseline (in a build: -p:ZqfpUpdateBaseline=true).";

    /// <summary>Decides.</summary>
    /// <param name="options">The limits.</param>
    /// <param name="quantized">The quantized model's result.</param>
    /// <param name="comparison">It against the float model's.</param>
    /// <param name="regression">It against the baseline's, where there is one.</param>
    public static GateDecision Of(GateOptions options, EvaluationResult quantized, Comparison comparison, Comparison? regression = null)
    {
        List<Diagnostic> warnings = [];
        Diagnostic? failure = null;
        if (options.MaxPerplexityIncrease is { } limit)
        {
            failure = Judge(comparison, limit, "ZQFP3001", "Perplexity rose by", FloatAdvice);
        }

        if (failure is null && options.MaxPerplexity is { } most && !(quantized.Perplexity <= most))
        {
            failure = Fail("ZQFP3001", string.Create(
                CultureInfo.InvariantCulture, $"Perplexity is {quantized.Perplexity:F3}, more than the {most} allowed. {FloatAdvice}"));
        }

        if (failure is null && regression is not null)
        {
            failure = Judge(regression, options.MaxRegression, "ZQFP3006", "Compared with the baseline perplexity rose by", BaselineAdvice);
        }

        return new GateDecision(failure, failure is null ? warnings : []);

        Diagnostic? Judge(Comparison measured, double limit, string code, string what, string advice)
        {
            if (measured.PerplexityIncrease <= limit)
            {
                return null;
            }

            string rose = $"{what} {Describe(measured)}, more than the {SignedPercent.Short(limit)} allowed";
            if (measured.IncreaseInterval is not { } interval || !(interval.Low <= limit))
            {
                return Fail(code, $"{rose}. {advice}");
            }

            string text = string.Create(CultureInfo.InvariantCulture,
                $"{rose}, but this text of {quantized.Windows} windows cannot tell it from the limit, so the gate passes. "
                + $"{WindowsNeeded(measured, limit, quantized.Windows)}");
            warnings.Add(new Diagnostic("ZQFP3004", DiagnosticSeverity.Warning, text, options.ModelPath));
            return null;
        }

        Diagnostic Fail(string code, string message) => new(code, DiagnosticSeverity.Error, message, options.ModelPath);
    }

    /// <summary>The increase and its interval, such as <c>+3.49 % (95 % interval +3.31 % to +3.67 %)</c>.</summary>
    public static string Describe(Comparison comparison) =>
        comparison.IncreaseInterval is { } interval
            ? $"{SignedPercent.Short(comparison.PerplexityIncrease)} (95 % interval {SignedPercent.Short(interval.Low)} to "
                + $"{SignedPercent.Short(interval.High)})"
            : SignedPercent.Short(comparison.PerplexityIncrease);

    /// <summary>The interval narrows with the root of the number of windows.</summary>
    private static string WindowsNeeded(Comparison comparison, double limit, int windows)
    {
        double distance = comparison.PerplexityIncrease - limit;
        double half = comparison.PerplexityIncrease - comparison.IncreaseInterval!.Low;
        double needed = Math.Round(windows * (half / distance) * (half / distance));
        return needed <= 100.0 * windows
            ? string.Create(CultureInfo.InvariantCulture, $"About {needed:0} windows of such text would.")
            : "No text of reasonable length would.";
    }
}
