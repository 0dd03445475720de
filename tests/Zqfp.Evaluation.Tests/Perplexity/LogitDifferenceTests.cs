
namespace Zqfp.Evaluation.Tests;

public sealed class LogitDifferenceTests
{
    [Fact]
    public void Equal_logits_have_no_difference() =>
        Assert.Equal(new LogitDifference(2, 0, 0, 0, 0, 2), Measure([1, 2, 3, 4], [1, 2, 3, 4], vocabulary: 2));

    [Fact]
    public void A_shift_of_all_logits_changes_no_distribution()
    {
        LogitDifference difference = Measure([1, 2, 3], [101, 102, 103], vocabulary: 3);
        Assert.Equal((100.0, 300.0), (difference.Largest, difference.Sum));
        Assert.Equal(0, difference.Divergence, 6);
        Assert.Equal(1, difference.Agreements);
    }

    [Fact]
    public void Random_logits_agree_with_the_definition_in_double()
    {
        var random = new Random(3);
        const int Vocabulary = 37;
        float[] first = [.. Enumerable.Range(0, 4 * Vocabulary).Select(_ => (float)((random.NextDouble() * 20) - 10))];
        float[] second = [.. first.Select(value => value + (float)random.NextDouble())];
        double expected = 0;
        double worst = 0;
        for (int row = 0; row < 4; row++)
        {
            double[] p = Softmax(first.Skip(row * Vocabulary).Take(Vocabulary));
            double[] q = Softmax(second.Skip(row * Vocabulary).Take(Vocabulary));
            double divergence = p.Zip(q, (a, b) => a * Math.Log(a / b)).Sum();
            expected += divergence;
            worst = Math.Max(worst, divergence);
        }

        LogitDifference difference = Measure(first, second, Vocabulary);
        Assert.Equal(expected, difference.Divergence, 5);
        Assert.Equal(worst, difference.LargestDivergence, 5);
        Assert.Equal(4, difference.Rows);
    }

    [Fact]
    public void Another_likeliest_token_is_no_agreement() =>
        Assert.Equal(1, Measure([1, 2, 2, 1], [1, 3, 1, 2], vocabulary: 2).Agreements);

    [Fact]
    public void Tokens_that_both_models_never_give_are_no_difference()
    {
        LogitDifference masked = Measure([1, 2, float.NegativeInfinity], [2, 1, float.NegativeInfinity], vocabulary: 3);
        Assert.Equal(Measure([1, 2], [2, 1], vocabulary: 2), masked);
        Assert.Equal(
            double.PositiveInfinity, Measure([1, 2, 0], [2, 1, float.NegativeInfinity], vocabulary: 3).Divergence);
    }

    [Fact]
    public void NaN_stays_NaN() => Assert.True(double.IsNaN(Measure([float.NaN, 0], [0, 0], vocabulary: 2).Divergence));

    private static LogitDifference Measure(float[] reference, float[] other, int vocabulary) =>
        Enumerable.Range(0, reference.Length / vocabulary)
            .Select(row => LogitDifference.OfRow(reference.AsSpan(row * vocabulary, vocabulary), other.AsSpan(row * vocabulary, vocabulary),
                new float[vocabulary], new float[vocabulary]))
            .Aggregate((sum, row) => sum + row);

    private static double[] Softmax(IEnumerable<float> logits)
    {
        double[] powers = [.. logits.Select(value => Math.Exp(value))];
        double total = powers.Sum();
        return [.. powers.Select(power => power / total)];
    }
}
