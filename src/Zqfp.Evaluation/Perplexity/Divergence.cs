using System.Numerics.Tensors;

namespace Zqfp.Evaluation;

/// <summary>How far a model's predictions are from its reference's, over every predicted token.</summary>
internal sealed record Divergence
{
    /// <summary>Mean Kullback-Leibler divergence from the reference's distribution, in nats per token.</summary>
    public required double KullbackLeibler { get; init; }

    /// <summary>The divergence of a token: extremes and percentiles.</summary>
    public required Distribution KullbackLeiblerSpread { get; init; }

    /// <summary>95 % confidence interval of <see cref="KullbackLeibler"/> over windows; null with fewer than 8 windows.</summary>
    public required Interval? KullbackLeiblerInterval { get; init; }

    /// <summary>Share of the tokens for which both find the same token likeliest.</summary>
    public required double Top1Agreement { get; init; }

    /// <summary>95 % confidence interval of <see cref="Top1Agreement"/> over windows; null with fewer than 8 windows.</summary>
    public required Interval? Top1Interval { get; init; }

    /// <summary>Mean of the probability given to the token that really follows, less the reference's.</summary>
    public required double DeltaP { get; init; }

    /// <summary>Root of the mean square of that difference.</summary>
    public required double RootMeanSquareDeltaP { get; init; }

    /// <summary>That difference: extremes and percentiles.</summary>
    public required Distribution DeltaPSpread { get; init; }

    /// <summary>Correlation of the two models' losses over tokens, which is that of the logarithms of their perplexities.</summary>
    public required double LossCorrelation { get; init; }

    /// <summary>Gathers what was measured of each token.</summary>
    /// <param name="tokens">The tokens, window after window.</param>
    /// <param name="tokensPerWindow">How many of them a window has.</param>
    public static Divergence Of(IReadOnlyList<TokenComparison> tokens, int tokensPerWindow)
    {
        double[] divergences = [.. tokens.Select(token => token.Difference.Divergence)];
        double[] agreements = [.. tokens.Select(token => (double)token.Difference.Agreements)];
        double[] deltas = [.. tokens.Select(token => token.DeltaP)];
        return new Divergence
        {
            KullbackLeibler = divergences.Average(),
            KullbackLeiblerSpread = Distribution.Of(divergences),
            KullbackLeiblerInterval = Interval.OfMean(Windows(divergences)),
            Top1Agreement = agreements.Average(),
            Top1Interval = Interval.OfMean(Windows(agreements)),
            DeltaP = deltas.Average(),
            RootMeanSquareDeltaP = Math.Sqrt(deltas.Average(delta => delta * delta)),
            DeltaPSpread = Distribution.Of(deltas),
            LossCorrelation = Correlation([.. tokens.Select(token => token.ReferenceLoss)], [.. tokens.Select(token => token.Loss)]),
        };

        double[] Windows(double[] values) => [.. values.Chunk(tokensPerWindow).Select(window => window.Average())];
    }

    /// <summary>Pearson's; 1 where neither varies.</summary>
    private static double Correlation(double[] first, double[] second)
    {
        TensorPrimitives.Subtract(first, first.Average(), first);
        TensorPrimitives.Subtract(second, second.Average(), second);
        double scale = Math.Sqrt(TensorPrimitives.SumOfSquares<double>(first) * TensorPrimitives.SumOfSquares<double>(second));
        return scale > 0 ? TensorPrimitives.Dot<double>(first, second) / scale : 1;
    }
}
