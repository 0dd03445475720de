
namespace Zqfp.Evaluation.Tests;

public sealed class GateDecisionTests
{
    private static readonly GateOptions Options = new()
    {
        ModelPath = "q.onnx",
        FloatModelPath = "f.onnx",
        TextPath = "t.txt",
        MaxPerplexityIncrease = 0.05,
        MaxRegression = 0.001,
    };

    [Fact]
    public void An_increase_within_the_limit_passes_in_silence() =>
    Assert.True(Decide(0.049, 0.03, 0.07) is { Failure: null, Warnings: [] });

    [Fact]
    public void An_increase_above_the_limit_but_within_the_noise_passes_with_a_warning_that_says_both()
    {
        GateDecision decision = Decide(0.06, 0.04, 0.08);

        Assert.Null(decision.Failure);
        Diagnostic warning = Assert.Single(decision.Warnings);
        Assert.Equal("ZQFP3004", warning.Code);
        Assert.Contains("rose by +6 % (95 % interval +4 % to +8 %), more than the +5 % allowed", warning.Message, StringComparison.Ordinal);

        // Half the interval is 2 %, the distance to the limit 1 %: four times the 20 windows.
        Assert.Contains("About 60 more windows would decide.", warning.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_increase_above_the_limit_beyond_the_noise_fails()
    {
        GateDecision decision = Decide(0.08, 0.06, 0.10);

        Assert.Empty(decision.Warnings);
        Assert.Equal("ZQFP3001", decision.Failure!.Code);
        Assert.Contains("rose by +8 % (95 % interval +6 % to +10 %), more than the +5 % allowed", decision.Failure.Message,
            StringComparison.Ordinal);
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
        GateDecision decision = GateDecision.Of(Options with { MaxPerplexity = 9.9 }, Text(0.06, new Interval(0.04, 0.08)));
        Assert.Contains("Perplexity is 10.000, more than the 9.9 allowed", decision.Failure!.Message, StringComparison.Ordinal);
        Assert.Empty(decision.Warnings);
    }

    [Fact]
    public void A_regression_beyond_the_noise_fails_although_the_float_models_limit_holds()
    {
        GateDecision decision = GateDecision.Of(Options, Text(0.03, new Interval(0.02, 0.04)),
            Comparison(0.004, new Interval(0.002, 0.006)));
        Assert.Equal("ZQFP3006", decision.Failure!.Code);
        Assert.Contains("+0.4 % (95 % interval +0.2 % to +0.6 %), more than the +0.1 % allowed", decision.Failure.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_regression_within_the_noise_is_a_warning() =>
        Assert.True(GateDecision.Of(Options, Text(0.03, null),
            Comparison(0.004, new Interval(-0.001, 0.009))) is { Failure: null, Warnings: [{ Code: "ZQFP3004" }] });

    [Theory]
    [InlineData(0.02, 0.01, 0.03, null)]
    [InlineData(0.04, 0.02, 0.06, "ZQFP3004")]
    [InlineData(0.04, 0.031, 0.05, "ZQFP3016")]
    public void A_divergence_is_judged_by_its_interval(double mean, double low, double high, string? code)
    {
        GateOptions options = Options with { MaxKullbackLeibler = 0.03, MinTop1Agreement = 0.5 };
        Assert.Equal(code, Code(GateDecision.Of(options, Apart(mean, new Interval(low, high), 0.9, new Interval(0.8, 1)))));
    }

    [Theory]
    [InlineData(0.96, 0.94, 0.98, null)]
    [InlineData(0.94, 0.92, 0.96, "ZQFP3004")]
    [InlineData(0.92, 0.90, 0.94, "ZQFP3016")]
    public void An_agreement_is_judged_by_its_interval(double share, double low, double high, string? code)
    {
        GateOptions options = Options with { MinTop1Agreement = 0.95 };
        Assert.Equal(code, Code(GateDecision.Of(options, Apart(0.01, null, share, new Interval(low, high)))));
    }

    [Theory]
    [InlineData(10, 10, null)]
    [InlineData(60, 40, "ZQFP3004")]
    [InlineData(90, 20, "ZQFP3017")]
    public void A_drop_of_accuracy_is_judged_by_its_interval(int lost, int won, string? code)
    {
        var task = new TaskComparison
        {
            Name = "story",
            Questions = 1000,
            ReferenceAccuracy = 0.8,
            Accuracy = 0.8 - ((lost - won) / 1000.0),
            Lost = lost,
            Won = won,
            DropInterval = PairedShares.Interval(1000, lost, won),
        };

        GateDecision decision = GateDecision.Of(Options with { MaxDrop = 0.01 }, text: null, tasks: [task]);

        Assert.Equal(code, Code(decision));
        Assert.All(decision.Warnings, warning => Assert.Contains("1000 questions cannot tell it from the limit", warning.Message,
            StringComparison.Ordinal));
    }

    private static string? Code(GateDecision decision) => (decision.Failure ?? decision.Warnings.SingleOrDefault())?.Code;

    private static GatedText Apart(double divergence, Interval? interval, double agreement, Interval? agreementInterval)
    {
        GatedText text = Text(0.01, null);
        Divergence equal = Divergence.Of([new TokenComparison(1, 1, new LogitDifference(1, 0, 0, 0, 0, 1))], tokensPerWindow: 1);
        return text with
        {
            Comparison = text.Comparison with
            {
                Divergence = equal with
                {
                    KullbackLeibler = divergence,
                    KullbackLeiblerInterval = interval,
                    Top1Agreement = agreement,
                    Top1Interval = agreementInterval,
                },
            },
        };
    }

    private static EvaluationResult Result { get; } = new()
    {
        Perplexity = 10,
        Tokens = 2560,
        Windows = 20,
        Window = 128,
        Predictions = 2540,
        WindowLosses = [],
        TextHash = "",
    };

    private static GateDecision Decide(double increase) => GateDecision.Of(Options, Text(increase, null));

    private static GateDecision Decide(double increase, double low, double high) => GateDecision.Of(
        Options, Text(increase, new Interval(low, high)));

    private static GatedText Text(double increase, Interval? interval) => new(Result, Result, Comparison(increase, interval));

    private static Comparison Comparison(double increase, Interval? interval) => new()
    {
        PerplexityIncrease = increase,
        IncreaseInterval = interval,
        LossDifference = Math.Log(1 + increase),
        LossDifferenceError = null,
        WorstWindows = [],
    };
}
