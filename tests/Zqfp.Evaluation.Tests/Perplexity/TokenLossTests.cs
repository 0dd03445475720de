
namespace Zqfp.Evaluation.Tests;

public sealed class TokenLossTests
{
    [Fact]
    public void Equal_logits_cost_the_logarithm_of_the_vocabulary()
    {
        double loss = TokenLoss.Mean(new float[3 * 8], [1, 5, 7], vocabulary: 8);
        Assert.Equal(Math.Log(8), loss, 6);
    }

    [Fact]
    public void The_row_before_a_token_predicts_it_and_the_last_row_predicts_nothing()
    {
        // Row 0 is certain of token 1, row 1 of token 0; the last row is wrong about everything and does not count.
        float[] logits = [0, 100, 100, 0, -1000, 1000];
        Assert.Equal(0, TokenLoss.Mean(logits, [0, 1, 0], vocabulary: 2), 6);
        Assert.Equal(100, TokenLoss.Mean(logits, [0, 0, 1], vocabulary: 2), 6);
    }

    [Fact]
    public void Large_logits_do_not_overflow() =>
        Assert.Equal(Math.Log(2), TokenLoss.Mean([3e38f, 3e38f, 0, 0], [0, 1], vocabulary: 2), 6);

    [Fact]
    public void Random_logits_agree_with_the_definition_in_double()
    {
        var random = new Random(1);
        float[] logits = [.. Enumerable.Range(0, 4 * 33).Select(_ => (float)((random.NextDouble() * 40) - 20))];
        int[] ids = [3, 32, 0, 17];
        double expected = 0;
        for (int i = 0; i < 3; i++)
        {
            double[] row = [.. logits.Skip(i * 33).Take(33).Select(value => (double)value)];
            expected -= Math.Log(Math.Exp(row[ids[i + 1]]) / row.Sum(Math.Exp)) / 3;
        }

        Assert.Equal(expected, TokenLoss.Mean(logits, ids, vocabulary: 33), 4);
    }

    [Fact]
    public void NaN_logits_give_NaN() => Assert.True(double.IsNaN(TokenLoss.Mean([float.NaN, 0, 0, 0], [0, 1], vocabulary: 2)));
}
