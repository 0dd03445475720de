namespace Zqfp.Evaluation.Tests;

public sealed class DivergenceTests
{
    [Fact]
    public void Percentiles_lie_between_the_values_they_fall_between()
    {
        var spread = Distribution.Of(Enumerable.Range(0, 11).Select(i => (double)(10 - i)));

        Assert.Equal(
            new Distribution(10, 9.99, 9.9, 9.5, 9, 5, 1, 0.5, 0.1, 0.01, 0), spread with { P999 = Math.Round(spread.P999, 9) });
    }

    [Fact]
    public void The_spread_of_one_value_is_that_value() =>
        Assert.Equal(new Distribution(3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3), Distribution.Of([3]));

    [Fact]
    public void A_model_compared_with_itself_agrees_in_everything()
    {
        var divergence = Divergence.Of([.. Enumerable.Range(0, 32).Select(i => Token(1 + i, 1 + i, 0, agrees: true))], tokensPerWindow: 4);

        Assert.Equal((0, 1), (divergence.KullbackLeibler, divergence.Top1Agreement));
        Assert.Equal((0, 0), (divergence.DeltaP, divergence.RootMeanSquareDeltaP));
        Assert.Equal(1, divergence.LossCorrelation, 12);
        Assert.Equal(new Interval(0, 0), divergence.KullbackLeiblerInterval);
    }

    [Fact]
    public void Differences_of_probability_are_those_of_the_token_that_follows()
    {
        var divergence = Divergence.Of(
            [Token(Math.Log(2), Math.Log(4), 0.1, agrees: true), Token(Math.Log(4), Math.Log(2), 0.3, agrees: false)], tokensPerWindow: 2);

        Assert.Equal(0, divergence.DeltaP, 12);
        Assert.Equal(0.25, divergence.RootMeanSquareDeltaP, 12);
        Assert.Equal((0.25, -0.25), (Math.Round(divergence.DeltaPSpread.Maximum, 12), Math.Round(divergence.DeltaPSpread.Minimum, 12)));
        Assert.Equal(0.2, divergence.KullbackLeibler, 12);
        Assert.Equal(0.5, divergence.Top1Agreement);
        Assert.Equal(-1, divergence.LossCorrelation, 12);
        Assert.Null(divergence.KullbackLeiblerInterval);
    }

    private static TokenComparison Token(double referenceLoss, double loss, double divergence, bool agrees) =>
        new(referenceLoss, loss, new LogitDifference(1, 0, 0, divergence, divergence, agrees ? 1 : 0));
}
