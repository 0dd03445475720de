
namespace Zqfp.Evaluation.Tests;

/// <summary>The baseline, with a copy of the float model in the quantized one's place: only what is remembered matters here.</summary>
public sealed class GateBaselineTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public GateBaselineTests() => SampleModel.MarkQuantized(Path.Combine(_folder, "models"));

    private string Baseline => Path.Combine(_folder, "zqfp.baseline.json");

    private GateOptions Options => new()
    {
        ModelPath = Path.Combine(_folder, "models", "model.onnx"),
        FloatModelPath = SampleModel.Model,
        TextPath = SampleModel.Evaluation,
        TokenizerPath = SampleModel.Tokenizer,
        Window = 64,
        Windows = 10,
        CacheFolder = Path.Combine(_folder, "cache"),
        BaselinePath = Baseline,
        BaselineName = "model/model.onnx",
        MaxRegression = 0.001,
    };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Without_an_entry_the_gate_says_how_to_record_one_and_writes_nothing()
    {
        ZqfpException error = Assert.Throws<ZqfpException>(() => Run(Options));
        Assert.Equal("ZQFP3007", error.Code);
        Assert.Contains("--update-baseline", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Baseline));
    }

    [Fact]
    public void A_recorded_result_passes_against_itself()
    {
        Assert.Null(Run(Options with { UpdateBaseline = true }).Regression);
        GateResult result = Run(Options);
        Assert.True(result.Passed);
        Assert.Equal(0, result.Regression!.PerplexityIncrease, tolerance: 1e-5);
        Assert.EndsWith("against the baseline", result.Summary, StringComparison.Ordinal);
    }

    [Fact]
    public void A_result_worse_than_the_recorded_one_fails_with_ZQFP3006()
    {
        Run(Options with { UpdateBaseline = true });
        Rewrite(losses => losses - 0.01);
        Diagnostic failure = Run(Options).Failure!;
        Assert.Equal("ZQFP3006", failure.Code);
        Assert.Contains("more than the +0.1 % allowed", failure.Message, StringComparison.Ordinal);
        Assert.True(Run(Options with { MaxRegression = 0.02 }).Passed);
    }

    [Fact]
    public void A_result_better_than_the_recorded_one_passes_and_changes_no_file()
    {
        Run(Options with { UpdateBaseline = true });
        Rewrite(losses => losses + 0.01);
        string before = File.ReadAllText(Baseline);
        Assert.True(Run(Options).Passed);
        Assert.Equal(before, File.ReadAllText(Baseline));
    }

    [Fact]
    public void Recording_keeps_other_models_and_the_order_of_names_and_the_same_result_gives_the_same_file()
    {
        Run(Options with { UpdateBaseline = true, BaselineName = "b" });
        Run(Options with { UpdateBaseline = true, BaselineName = "a" });
        string text = File.ReadAllText(Baseline);
        Assert.True(text.IndexOf("\"a\"", StringComparison.Ordinal) < text.IndexOf("\"b\"", StringComparison.Ordinal));
        Run(Options with { UpdateBaseline = true, BaselineName = "b" });
        Assert.Equal(text, File.ReadAllText(Baseline));
        Assert.True(Run(Options with { BaselineName = "a" }).Passed);
    }

    [Fact]
    public void A_baseline_of_other_tokens_is_refused()
    {
        Run(Options with { UpdateBaseline = true });
        Assert.Equal("ZQFP3007", Assert.Throws<ZqfpException>(() => Run(Options with { Windows = 9 })).Code);
        Assert.Equal("ZQFP3007", Assert.Throws<ZqfpException>(() => Run(Options with { TextPath = SampleModel.Calibration })).Code);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{ \"model/model.onnx\": 3 }")]
    [InlineData("{ \"model/model.onnx\": { \"perplexity\": 3 } }")]
    [InlineData("<<<<<<< HEAD")]
    [InlineData("{ \"model/model.onnx\": null }")]
    [InlineData("{ \"model/model.onnx\": { \"perplexity\": 3, \"floatPerplexity\": 3, \"text\": \"\", \"window\": 64, \"windowLosses\": "
        + "null } }")]
    public void A_file_that_is_no_baseline_is_refused_and_kept(string content)
    {
        File.WriteAllText(Baseline, content);
        Assert.Equal("ZQFP0013", Assert.Throws<ZqfpException>(() => Run(Options)).Code);
        Assert.Equal("ZQFP0013", Assert.Throws<ZqfpException>(() => Run(Options with { UpdateBaseline = true })).Code);
        Assert.Equal(content, File.ReadAllText(Baseline));
    }

    [Fact]
    public void A_baseline_that_cannot_be_written_is_ZQFP0013()
    {
        string file = Path.Combine(Path.GetDirectoryName(Baseline)!, "file");
        File.WriteAllText(file, "");
        ZqfpException error = Assert.Throws<ZqfpException>(
            () => Run(Options with { UpdateBaseline = true, BaselinePath = Path.Combine(file, "baseline.json") }));
        Assert.Equal(("ZQFP0013", Path.Combine(file, "baseline.json")), (error.Code, error.File));
    }

    private void Rewrite(Func<double, double> change)
    {
        var entries = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(Baseline))!.AsObject();
        var losses = entries["model/model.onnx"]!["windowLosses"]!.AsArray();
        for (int i = 0; i < losses.Count; i++)
        {
            losses[i] = change(losses[i]!.GetValue<double>());
        }

        File.WriteAllText(Baseline, entries.ToJsonString());
    }

    private static GateResult Run(GateOptions options) => GateJob.Run(options, new SilentObserver(), CancellationToken.None);
}
