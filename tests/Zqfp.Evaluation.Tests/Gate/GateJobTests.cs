using System.Text;

namespace Zqfp.Evaluation.Tests;

/// <summary>The gate's decisions, with a copy of the float model that says it is quantized in the quantized one's place.</summary>
public sealed class GateJobTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private readonly string _models = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public GateJobTests() => SampleModel.MarkQuantized(_models);

    private GateOptions Options => new()
    {
        ModelPath = Path.Combine(_models, "model.onnx"),
        FloatModelPath = SampleModel.Model,
        TextPath = SampleModel.Evaluation,
        TokenizerPath = SampleModel.Tokenizer,
        Window = 128,
        Windows = 4,
        CacheFolder = _folder,
    };

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        Directory.Delete(_models, recursive: true);
    }

    [Fact]
    public void A_model_equal_to_the_float_one_passes_a_limit_of_zero()
    {
        GateResult result = Run(Options with { MaxPerplexityIncrease = 0 });
        Assert.True(result.Passed);
        Assert.Equal(0, result.PerplexityIncrease);
        Assert.Contains("+0 %, limit +0 %", result.Summary, StringComparison.Ordinal);
    }

    [Fact]
    public void A_perplexity_over_the_limit_fails_with_ZQFP3001_and_both_numbers()
    {
        Diagnostic failure = Run(Options with { MaxPerplexity = 1.5 }).Failure!;
        Assert.Equal("ZQFP3001", failure.Code);
        Assert.Contains("1.5", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cached_result_is_used_and_a_damaged_one_is_not()
    {
        EvaluateOptions evaluated = new()
        {
            ModelPath = SampleModel.Model,
            TextPath = SampleModel.Evaluation,
            TokenizerPath = SampleModel.Tokenizer,
            Window = 128,
            Windows = 4,
            CacheFolder = _folder,
        };
        double measured = EvaluateJob.Run(evaluated, new SilentObserver(), CancellationToken.None).Perplexity;
        string cached = Assert.Single(Directory.GetFiles(_folder));
        string key = Path.GetFileNameWithoutExtension(cached);
        string content = Encoding.UTF8.GetString(KeptFile.Read(cached, "evaluation", key)!);
        KeptFile.Write(cached, "evaluation", key, Encoding.UTF8.GetBytes(
            content.Replace($"\"Perplexity\":{measured:R}", "\"Perplexity\":3", StringComparison.Ordinal)));
        Assert.Equal(3, Run(Options).Float!.Perplexity);
        byte[] whole = File.ReadAllBytes(cached);
        whole[^1] ^= 1;
        File.WriteAllBytes(cached, whole);
        Assert.Equal(measured, Run(Options).Float!.Perplexity);
    }

    [Fact]
    public void A_cached_result_that_nobody_asks_for_goes_after_a_month_and_nothing_else_in_the_folder()
    {
        Run(Options);
        string cached = Directory.GetFiles(_folder).First();
        string unused = Path.Combine(_folder, new string('a', 64) + ".evaluation"), notOurs = Path.Combine(_folder, "tokenizer.json");
        Array.ForEach([unused, notOurs], file => File.WriteAllText(file, "{}"));
        Array.ForEach([unused, notOurs, cached], file => File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddDays(-31)));
        Run(Options);
        Assert.True(File.Exists(unused));
        Run(Options with { Window = 64, Windows = 8 });

        Assert.False(File.Exists(unused));
        Assert.True(File.Exists(cached));
        Assert.True(File.Exists(notOurs));
    }

    [Fact]
    public void The_same_tokens_cut_into_other_windows_are_measured_anew()
    {
        Assert.Equal((4, 128), (Run(Options).Float!.Windows, Run(Options).Float!.Window));
        GateResult other = Run(Options with { Window = 64, Windows = 8 });
        Assert.Equal((8, 64), (other.Float!.Windows, other.Float!.Window));
    }

    [Fact]
    public void Without_limits_everything_passes() => Assert.True(Run(Options).Passed);

    [Fact]
    public void A_model_that_is_not_quantized_is_refused_and_swapped_models_are_seen()
    {
        string copy = SampleModel.MarkQuantized(Path.Combine(_folder, "copy"), layers: 0);
        Assert.Equal("ZQFP1017", Refusal(Options with { ModelPath = copy }));
        Assert.Equal("ZQFP1018", Refusal(Options with { FloatModelPath = Options.ModelPath, ModelPath = SampleModel.Model }));
    }

    [Fact]
    public void A_model_is_not_gated_against_itself_or_a_copy_and_against_another_quantized_one_with_a_warning()
    {
        Assert.Equal("ZQFP1017", Refusal(Options with { ModelPath = SampleModel.Model }));
        Assert.Equal("ZQFP1017", Refusal(Options with { FloatModelPath = Options.ModelPath }));
        Assert.Equal("ZQFP1017", Refusal(Options with { FloatModelPath = SampleModel.MarkQuantized(Path.Combine(_folder, "copy")) }));
        var observer = new SilentObserver();
        string other = SampleModel.MarkQuantized(Path.Combine(_folder, "other"), layers: 27);
        Assert.True(GateJob.Run(Options with { FloatModelPath = other }, observer, CancellationToken.None).Passed);
        Assert.Equal("ZQFP1023", Assert.Single(observer.Warnings).Code);
    }

    private static string Refusal(GateOptions options) => Assert.Throws<ZqfpException>(() => Run(options)).Code;

    private static GateResult Run(GateOptions options) => GateJob.Run(options, new SilentObserver(), CancellationToken.None);
}
