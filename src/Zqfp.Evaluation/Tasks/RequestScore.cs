namespace Zqfp.Evaluation;

/// <summary>What a model says of one request.</summary>
/// <param name="LogLikelihood">Sum of the scored tokens' log-probabilities, in nats.</param>
/// <param name="IsGreedy">Whether each of them is the likeliest one at its place.</param>
internal sealed record RequestScore(double LogLikelihood, bool IsGreedy)
{
    /// <summary>Both requests as one.</summary>
    public static RequestScore operator +(RequestScore a, RequestScore b) =>
        new(a.LogLikelihood + b.LogLikelihood, a.IsGreedy && b.IsGreedy);
}
