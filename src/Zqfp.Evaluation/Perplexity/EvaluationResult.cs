namespace Zqfp.Evaluation;

/// <summary>
/// A model's perplexity on a text, by GPTQ's protocol: exp of the mean negative log-likelihood of each window's last L - 1 tokens.
/// </summary>
internal sealed record EvaluationResult
{
    /// <summary>exp(total loss / predictions).</summary>
    public required double Perplexity { get; init; }

    /// <summary>
    /// Standard error of <see cref="Perplexity"/> over windows (by the delta method): what another text of the same kind and length
    /// would change. Null for one window.
    /// </summary>
    public double? StandardError => Perplexity * Interval.StandardError(WindowLosses);

    /// <summary>Tokens in the whole text.</summary>
    public required long Tokens { get; init; }

    /// <summary>Windows evaluated.</summary>
    public required int Windows { get; init; }

    /// <summary>Tokens in a window.</summary>
    public required int Window { get; init; }

    /// <summary>Tokens predicted: windows times (window - 1).</summary>
    public required long Predictions { get; init; }

    /// <summary>Mean negative log-likelihood of each window, in nats per token, in order.</summary>
    public required IReadOnlyList<double> WindowLosses { get; init; }

    /// <summary>Hash of the token windows: equal for equal tokens.</summary>
    public required string TextHash { get; init; }

    /// <summary>The token that every window begins with and the text does not have; null for none.</summary>
    public int? BeginningId { get; init; }

    /// <summary>The model against another one over the same windows, where one was named.</summary>
    public Comparison? Against { get; init; }
}
