using System.Text.Json.Nodes;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization.Tests;

public sealed class GenAiFolderJobTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public GenAiFolderJobTests()
    {
        Directory.CreateDirectory(Path.Combine(Source, "adapters"));
        TinyDecoder.Write(Source);
        File.WriteAllText(Path.Combine(Source, "genai_config.json"), Config("tiny.onnx"));
        File.WriteAllText(Path.Combine(Source, "chat_template.jinja"), "template");
        File.WriteAllText(Path.Combine(Source, "adapters", "a.bin"), "adapter");
        File.WriteAllText(Library, "library");
    }

    private string Source => Path.Combine(_folder, "float");

    private string Output => Path.Combine(_folder, "quantized");

    private string Library => Path.Combine(_folder, "zqfp_ops.so");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_folder_has_the_model_the_library_and_everything_else()
    {
        QuantizeReport report = Quantize(EmissionProfile.Custom);

        Assert.Equal(
            ["adapters/a.bin", "chat_template.jinja", "genai_config.json", "tiny.onnx", "tiny.onnx.data", "tokenizer_config.json",
                "zqfp_ops.so"],
            Files(Output));
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(Output, "genai_config.json")))!;
        JsonNode options = config["model"]!["decoder"]!["session_options"]!;
        Assert.Equal("zqfp_ops.so", (string?)options["custom_ops_library"]);
        Assert.Equal("onnxruntime-genai", (string?)options["log_id"]);
        options.AsObject().Remove("custom_ops_library");
        Assert.True(JsonNode.DeepEquals(config, JsonNode.Parse(Config("tiny.onnx"))));
        Assert.Equal("{}\n", File.ReadAllText(Path.Combine(Output, "tokenizer_config.json")));
        Assert.Equal([Path.Combine(Output, "tiny.onnx")], report.Outputs);
        Assert.Equal("custom", InspectJob.Run(Options(EmissionProfile.Custom) with { ModelPath = Output }).Properties["zqfp.profile"]);
    }

    [Theory]
    [InlineData(EmissionProfile.Stock)]
    [InlineData(EmissionProfile.Portable)]
    internal void A_profile_without_our_operators_needs_no_library(EmissionProfile profile)
    {
        QuantizeJob.Run(Options(profile) with { OperatorLibrary = null }, new SilentObserver(), CancellationToken.None);
        Assert.DoesNotContain("zqfp_ops.so", Files(Output));
        Assert.True(JsonNode.DeepEquals(
            JsonNode.Parse(Config("tiny.onnx")), JsonNode.Parse(File.ReadAllText(Path.Combine(Output, "genai_config.json")))));
    }

    [Fact]
    public void Older_files_are_replaced_and_others_stay()
    {
        Directory.CreateDirectory(Output);
        File.WriteAllText(Path.Combine(Output, "notes.txt"), "mine");
        File.WriteAllText(Path.Combine(Output, "tiny.onnx"), "old");
        Quantize(EmissionProfile.Stock);
        byte[] first = File.ReadAllBytes(Path.Combine(Output, "tiny.onnx"));
        Quantize(EmissionProfile.Stock);
        Assert.Equal(first, File.ReadAllBytes(Path.Combine(Output, "tiny.onnx")));
        Assert.Equal("mine", File.ReadAllText(Path.Combine(Output, "notes.txt")));
        Assert.Equal(["adapters/a.bin", "chat_template.jinja", "genai_config.json", "notes.txt", "tiny.onnx", "tiny.onnx.data",
            "tokenizer_config.json"], Files(Output));
    }

    [Fact]
    public void What_cannot_be_written_leaves_the_folder_as_it_was()
    {
        Directory.CreateDirectory(Path.Combine(Output, "tokenizer_config.json", "occupied"));
        File.WriteAllText(Path.Combine(Output, "tiny.onnx"), "old");
        File.WriteAllText(Path.Combine(Output, "genai_config.json"), "old");
        Assert.Equal("ZQFP0002", Assert.Throws<ZqfpException>(() => Quantize(EmissionProfile.Stock)).Code);
        Assert.Equal(["genai_config.json", "tiny.onnx"], Files(Output));
        Assert.Equal("old", File.ReadAllText(Path.Combine(Output, "tiny.onnx")));
    }

    [Fact]
    public void A_run_that_fails_leaves_no_folder()
    {
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(
            () => QuantizeJob.Run(Options(EmissionProfile.Stock), new SilentObserver(), cancelled.Token));
        Assert.False(Directory.Exists(Output));
    }

    [Fact]
    public void The_model_of_a_folder_may_be_named_too()
    {
        string other = Path.Combine(_folder, "float", "other.onnx");
        File.Copy(Path.Combine(Source, "tiny.onnx"), other);
        AssertFails("ZQFP0130", Options(EmissionProfile.Stock) with { ModelPath = other });
        QuantizeJob.Run(Options(EmissionProfile.Stock) with { ModelPath = Path.Combine(Source, "tiny.onnx") },
            new SilentObserver(), CancellationToken.None);
        Assert.Contains("tiny.onnx", Files(Output));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"model\": 1}")]
    [InlineData("{\"model\": {\"decoder\": {\"filename\": 1}}}")]
    [InlineData("{\"model\": {\"decoder\": {\"filename\": \"\"}}}")]
    [InlineData("{\"model\": {\"decoder\": {\"pipeline\": []}}}")]
    [InlineData("{\"model\": {\"decoder\": {\"filename\": \"missing.onnx\"}}}")]
    [InlineData("{\"model\": {\"decoder\": {\"filename\": \"../float/tiny.onnx\"}}}")]
    [InlineData("{\"model\": {\"decoder\": {\"filename\": \"tiny.onnx\", \"filename\": \"tiny.onnx\"}}}")]
    public void A_configuration_that_names_no_model_of_the_folder_is_ZQFP0130(string config)
    {
        File.WriteAllText(Path.Combine(Source, "genai_config.json"), config);
        AssertFails("ZQFP0130", Options(EmissionProfile.Stock));
    }

    [Fact]
    public void A_folder_without_configuration_is_ZQFP0130()
    {
        File.Delete(Path.Combine(Source, "genai_config.json"));
        AssertFails("ZQFP0130", Options(EmissionProfile.Stock));
        AssertFails("ZQFP0130", Options(EmissionProfile.Stock) with { ModelPath = Path.Combine(_folder, "nowhere") });
    }

    [Fact]
    public void A_library_that_does_not_exist_is_ZQFP0131() =>
        AssertFails("ZQFP0131", Options(EmissionProfile.Custom) with { OperatorLibrary = Path.Combine(_folder, "missing.so") });

    [Fact]
    public void A_profile_that_GenAI_cannot_run_is_ZQFP0132()
    {
        AssertFails("ZQFP0132", Options(EmissionProfile.Qdq));
        AssertFails("ZQFP0132", Options(EmissionProfile.Stock) with { Profiles = [EmissionProfile.Stock, EmissionProfile.Portable] });
    }

    [Fact]
    public void A_configuration_with_a_library_of_its_own_is_ZQFP0133_for_custom_alone()
    {
        File.WriteAllText(Path.Combine(Source, "genai_config.json"),
            Config("tiny.onnx").Replace("\"log_id\"", "\"custom_ops_library\": \"theirs.so\", \"log_id\"", StringComparison.Ordinal));
        AssertFails("ZQFP0133", Options(EmissionProfile.Custom));
        Quantize(EmissionProfile.Stock);
        Assert.Contains("theirs.so", File.ReadAllText(Path.Combine(Output, "genai_config.json")), StringComparison.Ordinal);
    }

    [Fact]
    public void The_models_own_folder_is_no_output()
    {
        AssertFails("ZQFP0003", Options(EmissionProfile.Stock) with { OutputPath = Source });
        AssertFails("ZQFP0003", Options(EmissionProfile.Stock) with { OutputPath = Path.Combine(Source, "quantized") });
        AssertFails("ZQFP0002", Options(EmissionProfile.Stock) with { OutputPath = Library });
    }

    [Fact]
    public void Both_folders_can_be_evaluated_and_gated()
    {
        Quantize(EmissionProfile.Stock);
        string text = TinyDecoder.WriteTokens(_folder, 4096);
        var evaluation = new EvaluateOptions { ModelPath = Output, TextPath = text, Window = 64, Windows = 4 };
        double expected = EvaluateJob.Run(evaluation with { ModelPath = Path.Combine(Output, "tiny.onnx") }, new SilentObserver(),
            CancellationToken.None).Perplexity;
        Assert.Equal(expected, EvaluateJob.Run(evaluation, new SilentObserver(), CancellationToken.None).Perplexity);
        GateResult gate = GateJob.Run(
            new GateOptions { ModelPath = Output, FloatModelPath = Source, TextPath = text, Window = 64, Windows = 4 },
            new SilentObserver(), CancellationToken.None);
        Assert.Equal(expected, gate.Quantized!.Perplexity);
    }

    private void AssertFails(string code, QuantizeOptions options)
    {
        Assert.Equal(code, Assert.Throws<ZqfpException>(() => QuantizeJob.Run(options, new SilentObserver(), CancellationToken.None)).Code);
        Assert.Equal(code, Assert.Throws<ZqfpException>(() => PlanJob.Run(options, CancellationToken.None)).Code);
        Assert.False(Directory.Exists(Output));
    }

    private QuantizeReport Quantize(EmissionProfile profile) => QuantizeJob.Run(
        Options(profile), new SilentObserver(), CancellationToken.None);

    private QuantizeOptions Options(EmissionProfile profile) => new()
    {
        ModelPath = Source,
        OutputPath = Output,
        Target = OutputTarget.GenAi,
        OperatorLibrary = Library,
        Profiles = [profile],
        Quantization = new QuantizationOptions { Method = QuantizationMethod.Rtn, Rank = 0 },
    };

    private static string[] Files(string folder) =>
        [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(folder, path).Replace('\\', '/'))
            .Order(StringComparer.Ordinal)];

    private static string Config(string model) =>
        $$"""{ "model": { "type": "llama", "decoder": { "filename": "{{model}}", "session_options": { "log_id": "onnxruntime-genai", "provider_options": [] } } }, "search": { "top_p": 1.0 } }""";
}
