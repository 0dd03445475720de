namespace Zqfp.Evaluation;

/// <summary>One window in both models.</summary>
/// <param name="Window">Its place in the text, from 0: it begins at token <c>Window * window length</c>.</param>
/// <param name="ReferenceLoss">The reference's mean negative log-likelihood, in nats per token.</param>
/// <param name="Loss">The model's.</param>
internal sealed record WindowComparison(int Window, double ReferenceLoss, double Loss);

/// <summary>
/// A model against a reference (its float model) over the same windows. The windows are paired, so that what makes a text hard
/// for both cancels: the interval of the difference is far narrower than either perplexity's.
/// </summary>
internal sealed record Comparison
{
    private const int Worst = 5;

    /// <summary>Perplexity over the reference's, less 1.</summary>
    public required double PerplexityIncrease { get; init; }

    /// <summary>95 % confidence interval of <see cref="PerplexityIncrease"/>; null with fewer than 8 windows.</summary>
    public required Interval? IncreaseInterval { get; init; }

    /// <summary>Mean over windows of the loss less the reference's, in nats per token: the logarithm of 1 + the increase.</summary>
    public required double LossDifference { get; init; }

    /// <summary>Standard error of <see cref="LossDifference"/> over windows; null with fewer than 2.</summary>
    public required double? LossDifferenceError { get; init; }

    /// <summary>The windows that lost most, the worst first; five at most.</summary>
    public required IReadOnlyList<WindowComparison> WorstWindows { get; init; }

    /// <summary>How far the predictions are apart; null where the two models were not run side by side.</summary>
    public Divergence? Divergence { get; init; }

    /// <summary>The ends of <see cref="IncreaseInterval"/> for a drawing: the increase itself where there is none.</summary>
    public Interval IncreaseEnds() => IncreaseInterval ?? new Interval(PerplexityIncrease, PerplexityIncrease);

    /// <summary>Compares two evaluations of the same windows.</summary>
    /// <exception cref="ArgumentException">The windows are not the same.</exception>
    public static Comparison Of(EvaluationResult reference, EvaluationResult model, Divergence? divergence = null)
    {
        if (reference.Window != model.Window || reference.TextHash != model.TextHash)
        {
            throw new ArgumentException("The two were evaluated on different windows.", nameof(model));
        }

        double[] differences = [.. model.WindowLosses.Zip(reference.WindowLosses, (loss, other) => loss - other)];
        double mean = differences.Average();
        return new Comparison
        {
            PerplexityIncrease = Math.Exp(mean) - 1,
            IncreaseInterval = Interval.OfMean(differences) is { } interval
                ? new Interval(Math.Exp(interval.Low) - 1, Math.Exp(interval.High) - 1)
                : null,
            LossDifference = mean,
            LossDifferenceError = Interval.StandardError(differences),
            WorstWindows =
            [
                .. Enumerable.Range(0, differences.Length)
                    .OrderByDescending(i => differences[i])
                    .Take(Worst)
                    .Select(i => new WindowComparison(i, reference.WindowLosses[i], model.WindowLosses[i])),
            ],
            Divergence = divergence,
        };
    }
}
