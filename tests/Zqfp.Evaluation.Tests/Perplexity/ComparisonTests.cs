
namespace Zqfp.Evaluation.Tests;

public sealed class ComparisonTests
{
    [Theory]
    [InlineData(7, 2.364624)]
    [InlineData(10, 2.228139)]
    [InlineData(30, 2.042272)]
    [InlineData(235, 1.970110)]
    public void The_quantile_of_students_t_is_the_one_in_tables(int degrees, double expected) =>
        Assert.Equal(expected, Interval.StudentQuantile(degrees), 4);

    [Fact]
    public void The_interval_of_a_mean_is_its_definition()
    {
        double[] values = [1, 2, 3, 4, 5, 6, 7, 8];

        // s = sqrt(6), standard error sqrt(6 / 8), t(7) = 2.364624.
        Assert.Equal(Math.Sqrt(6.0 / 8), Interval.StandardError(values)!.Value, 12);
        Interval interval = Interval.OfMean(values)!;
        Assert.Equal(4.5 - (2.364624 * Math.Sqrt(0.75)), interval.Low, 3);
        Assert.Equal(4.5 + (2.364624 * Math.Sqrt(0.75)), interval.High, 3);
    }

    [Fact]
    public void Few_values_have_no_interval_and_one_has_no_error()
    {
        Assert.Null(Interval.OfMean([1, 2, 3, 4, 5, 6, 7]));
        Assert.Null(Interval.StandardError([1]));
    }

    [Fact]
    public void What_makes_a_window_hard_for_both_models_cancels()
    {
        double[] hard = [1, 5, 2, 9, 3, 4, 8, 7, 6, 2];
        EvaluationResult reference = Result(hard);
        EvaluationResult model = Result([.. hard.Select(loss => loss + 0.1)]);
        var comparison = Comparison.Of(reference, model);

        Assert.Equal(Math.Exp(0.1) - 1, comparison.PerplexityIncrease, 12);
        Assert.Equal(comparison.PerplexityIncrease, (model.Perplexity / reference.Perplexity) - 1, 9);
        Assert.Equal(comparison.PerplexityIncrease, comparison.IncreaseInterval!.Low, 9);
        Assert.True(reference.StandardError > 1);
    }

    [Fact]
    public void The_worst_windows_come_first_and_are_five_at_most()
    {
        var comparison = Comparison.Of(Result([1, 1, 1, 1, 1, 1]), Result([1.2, 1.1, 0.9, 1.5, 1, 1.3]));

        Assert.Equal([3, 5, 0, 1, 4], comparison.WorstWindows.Select(window => window.Window));
        Assert.Equal(new WindowComparison(3, 1, 1.5), comparison.WorstWindows[0]);
    }

    private static EvaluationResult Result(double[] losses) => new()
    {
        Perplexity = Math.Exp(losses.Average()),
        Tokens = 2L * losses.Length,
        Windows = losses.Length,
        Window = 2,
        Predictions = losses.Length,
        WindowLosses = losses,
        TextHash = "",
    };
}
