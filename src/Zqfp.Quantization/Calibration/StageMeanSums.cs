using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>
/// Sums of a stage's tokens and of what is beside them, of the same two parts as its moments, to take the means out of these.
/// </summary>
/// <param name="columns">Values of a token.</param>
/// <param name="beside">Values of what is beside it.</param>
internal sealed class StageMeanSums(int columns, int[] beside)
{
    private readonly TokenSum[] _fit = [.. beside.Prepend(columns).Select(count => new TokenSum(count))];
    private readonly TokenSum[] _held = [.. beside.Prepend(columns).Select(count => new TokenSum(count))];

    /// <summary>Adds tokens of a batch.</summary>
    /// <param name="written">The tokens as they were summed, and what is beside them.</param>
    /// <param name="isHeld">Whether they are held out.</param>
    public void Add(Memory<float>[] written, bool isHeld)
    {
        foreach ((TokenSum sum, Memory<float> rows) in (isHeld ? _held : _fit).Zip(written))
        {
            sum.Add(rows.Span);
        }
    }

    /// <summary>Takes the means out of the moments.</summary>
    /// <param name="fit">H of the tokens that are fitted to.</param>
    /// <param name="held">H of those held out.</param>
    /// <param name="beside">The moments of what is beside them.</param>
    /// <returns>The means, of the tokens first.</returns>
    public double[][] Center(Hessian fit, Hessian held, PartedMoment[] beside)
    {
        long tokens = fit.Tokens + held.Tokens;
        double[][] means = [.. _fit.Zip(_held, (one, other) => TokenSum.Mean(one, other, tokens))];
        var centering = new Centering(means[0], tokens);
        centering.Apply(fit, _fit[0].Values);
        centering.Apply(held, _held[0].Values);
        for (int i = 0; i < beside.Length; i++)
        {
            centering.Apply(beside[i].Fit, fit.Tokens, _fit[i + 1].Values, means[i + 1], _fit[0].Values);
            centering.Apply(beside[i].Held, held.Tokens, _held[i + 1].Values, means[i + 1], _held[0].Values);
        }

        return means;
    }
}
