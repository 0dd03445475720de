using Zqfp.Pipeline.Evaluate;
using Zqfp.Pipeline.Gate;

namespace Zqfp.Pipeline.Tests.Gate;

public sealed class GateDecisionTests
{
    private static readonly GateOptions Options = new() { ModelPath = "q.onnx", FloatModelPath = "f.onnx", TextPath = "t.txt", MaxPerplexityIncrease = 0.05 };

    [Fact]
    public void An_increase_within_the_limit_passes_in_silence() => Assert.Equal(new GateDecision(null, null), Decide(0.049, 0.03, 0.07));

    [Fact]
    public void An_increase_above_the_limit_but_within_the_noise_passes_with_a_warning_that_says_both()
    {
        GateDecision decision = Decide(0.06, 0.04, 0.08);

        Assert.Null(decision.Failure);
        Assert.Equal("ZQFP3004", decision.Warning!.Code);
        Assert.Contains("rose by +6 % (95 % interval +4 % to +8 %), more than the +5 % allowed", decision.Warning.Message, StringComparison.Ordinal);

        // Half the interval is 2 %, the distance to the limit 1 %: four times the 20 windows.
        Assert.Contains("About 80 windows", decision.Warning.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_increase_above_the_limit_beyond_the_noise_fails()
    {
        GateDecision decision = Decide(0.08, 0.06, 0.10);

        Assert.Null(decision.Warning);
        Assert.Equal("ZQFP3001", decision.Failure!.Code);
        Assert.Contains("rose by +8 % (95 % interval +6 % to +10 %), more than the +5 % allowed", decision.Failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_interval_that_ends_at_the_limit_passes() => Assert.Null(Decide(0.06, 0.05, 0.07).Failure);

    [Fact]
    public void Without_an_interval_the_measured_increase_decides()
    {
        Assert.Null(Decide(0.05).Failure);
        Assert.Equal("ZQFP3001", Decide(0.0501).Failure!.Code);
    }

    [Fact]
    public void An_increase_that_is_no_number_fails() => Assert.Equal("ZQFP3001", Decide(double.NaN, double.NaN, double.NaN).Failure!.Code);

    [Fact]
    public void The_limit_of_perplexity_is_a_limit_of_what_was_measured()
    {
        GateDecision decision = GateDecision.Of(Options with { MaxPerplexity = 9.9 }, Result, Comparison(0.06, new Interval(0.04, 0.08)));
        Assert.Contains("Perplexity is 10.000, more than the 9.9 allowed", decision.Failure!.Message, StringComparison.Ordinal);
        Assert.Null(decision.Warning);
    }

    private static EvaluationResult Result { get; } = new() { Perplexity = 10, Tokens = 2560, Windows = 20, Window = 128, Predictions = 2540, WindowLosses = [] };

    private static GateDecision Decide(double increase) => GateDecision.Of(Options, Result, Comparison(increase, null));

    private static GateDecision Decide(double increase, double low, double high) => GateDecision.Of(Options, Result, Comparison(increase, new Interval(low, high)));

    private static Comparison Comparison(double increase, Interval? interval) => new()
    {
        PerplexityIncrease = increase,
        IncreaseInterval = interval,
        LossDifference = Math.Log(1 + increase),
        LossDifferenceError = null,
        WorstWindows = [],
    };
}
