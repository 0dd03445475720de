
namespace Zqfp.Evaluation.Tests;

public sealed class TokenLossTests
{
    [Fact]
    public void Equal_logits_cost_the_logarithm_of_the_vocabulary()
    {
        double loss = TokenLoss.Of(new float[8], 5, new float[8]);
        Assert.Equal(Math.Log(8), loss, 6);
    }

    [Fact]
    public void Certainty_costs_nothing_where_it_is_right_and_its_distance_where_it_is_wrong()
    {
        Assert.Equal(0, TokenLoss.Of([0, 100], 1, new float[2]), 6);
        Assert.Equal(100, TokenLoss.Of([0, 100], 0, new float[2]), 6);
    }

    [Fact]
    public void Large_logits_do_not_overflow() =>
        Assert.Equal(Math.Log(2), TokenLoss.Of([3e38f, 3e38f], 1, new float[2]), 6);

    [Fact]
    public void Random_logits_agree_with_the_definition_in_double()
    {
        var random = new Random(1);
        float[] logits = [.. Enumerable.Range(0, 33).Select(_ => (float)((random.NextDouble() * 40) - 20))];
        double expected = -Math.Log(Math.Exp(logits[17]) / logits.Sum(logit => Math.Exp(logit)));

        Assert.Equal(expected, TokenLoss.Of(logits, 17, new float[33]), 4);
    }

    [Fact]
    public void NaN_logits_give_NaN() => Assert.True(double.IsNaN(TokenLoss.Of([float.NaN, 0], 1, new float[2])));
}
