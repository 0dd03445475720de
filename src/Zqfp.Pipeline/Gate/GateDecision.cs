using System.Globalization;
using Zqfp.Pipeline.Diagnostics;
using Zqfp.Pipeline.Evaluate;

namespace Zqfp.Pipeline.Gate;

/// <summary>
/// The gate's rule. The increase of perplexity fails when it is above the limit beyond the noise of the text: when the lower end
/// of its 95 % interval is above the limit. With fewer windows than an interval needs the measured increase decides, and so it
/// does for perplexity itself, whose uncertainty is the choice of the text, not the model's.
/// </summary>
/// <param name="Failure">Why the gate failed, or null.</param>
/// <param name="Warning">That the measured increase is above the limit, but within the noise; or null.</param>
internal sealed record GateDecision(Diagnostic? Failure, Diagnostic? Warning)
{
    private const string Advice = "Put more work into it (preset best), raise the rank (32), use smaller groups (128), or accept the loss with a higher limit.";

    /// <summary>Decides.</summary>
    public static GateDecision Of(GateOptions options, EvaluationResult quantized, Comparison comparison)
    {
        Diagnostic? warning = null;
        if (options.MaxPerplexityIncrease is { } limit && !(comparison.PerplexityIncrease <= limit))
        {
            if (comparison.IncreaseInterval is not { } interval || !(interval.Low <= limit))
            {
                return new GateDecision(Fail(options, $"Perplexity rose by {Describe(comparison)}, more than the {Percent(limit)} allowed. {Advice}"), null);
            }

            warning = new Diagnostic(
                "ZQFP3004",
                DiagnosticSeverity.Warning,
                $"Perplexity rose by {Describe(comparison)}, more than the {Percent(limit)} allowed, but this text of {quantized.Windows} windows cannot tell it from the limit, so the gate passes. {WindowsNeeded(comparison, limit, quantized.Windows)}",
                options.ModelPath);
        }

        return options.MaxPerplexity is { } most && !(quantized.Perplexity <= most)
            ? new GateDecision(Fail(options, string.Create(CultureInfo.InvariantCulture, $"Perplexity is {quantized.Perplexity:F3}, more than the {most} allowed. {Advice}")), null)
            : new GateDecision(null, warning);
    }

    /// <summary>The increase and its interval, such as <c>+3.49 % (95 % interval +3.31 % to +3.67 %)</c>.</summary>
    public static string Describe(Comparison comparison) =>
        comparison.IncreaseInterval is { } interval
            ? $"{Percent(comparison.PerplexityIncrease)} (95 % interval {Percent(interval.Low)} to {Percent(interval.High)})"
            : Percent(comparison.PerplexityIncrease);

    /// <summary>A fraction as people read it, with its sign.</summary>
    public static string Percent(double fraction) =>
        string.Create(CultureInfo.InvariantCulture, $"{(fraction >= 0 ? "+" : "")}{100 * fraction:0.##} %");

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

    private static Diagnostic Fail(GateOptions options, string message) =>
        new("ZQFP3001", DiagnosticSeverity.Error, message, options.ModelPath);
}
