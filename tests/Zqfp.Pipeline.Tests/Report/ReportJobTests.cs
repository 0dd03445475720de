using System.Text.Json;
using System.Text.RegularExpressions;
using Zqfp.Pipeline.Diagnostics;
using Zqfp.Pipeline.Evaluate;
using Zqfp.Pipeline.Gate;
using Zqfp.Pipeline.Quantize;
using Zqfp.Pipeline.Report;

namespace Zqfp.Pipeline.Tests.Report;

public sealed class ReportJobTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_page_holds_every_layer_the_figures_and_nothing_from_elsewhere()
    {
        string page = HtmlReport.Render(Quantization, Gate);

        Assert.Contains("4.000 &rarr; 4.200", page, StringComparison.Ordinal);
        Assert.Contains("&lt;odd&gt; &amp; | `layer", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<odd>", page, StringComparison.Ordinal);
        Assert.Contains("75.0 %", page, StringComparison.Ordinal);
        Assert.Equal(2, Regex.Count(page, "<circle "));
        Assert.Contains("window 1: 1.500, &#x2B;0.0976", page.Replace("+", "&#x2B;", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.DoesNotMatch("(src|href)=|url\\(|https?:", page);
    }

    [Fact]
    public void A_model_that_was_not_measured_or_calibrated_has_a_report_too()
    {
        QuantizeReport uncalibrated = Quantization with { Layers = [new LayerReport("layer", 8, 4, 0, 4.5, null)] };
        string page = HtmlReport.Render(uncalibrated, null);

        Assert.Contains("quantized without calibration", page, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<circle", page, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{ \"perplexity\": 4.2 }")]
    public void A_file_that_is_no_result_is_ZQFP0011_and_writes_nothing(string content)
    {
        string path = Path.Combine(_folder, "quantize.json");
        File.WriteAllText(path, content);
        string output = Path.Combine(_folder, "report.html");
        PipelineException error = Assert.Throws<PipelineException>(() => ReportJob.Write(new ReportOptions { QuantizationPath = path, OutputPaths = [output] }));

        Assert.Equal("ZQFP0011", error.Diagnostic.Code);
        Assert.Contains("quantize --json", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(output));
    }

    [Fact]
    public void The_summary_for_a_CI_job_has_the_verdict_and_the_figures_and_no_markup_of_a_name()
    {
        string text = MarkdownReport.Render(Quantization, Gate);

        Assert.StartsWith("## model.onnx: the gate passed\n", text, StringComparison.Ordinal);
        Assert.Contains("| perplexity | 4.000 | 4.200 | +5 % |\n", text, StringComparison.Ordinal);
        Assert.Contains("| size | 1.0 MB | 0.3 MB | -70 % |\n", text, StringComparison.Ordinal);
        Assert.Contains("| `<odd> & \\| 'layer` | 8 x 4 | 2 | 4.50 | 75.0 % |\n", text, StringComparison.Ordinal);
        Assert.Contains("| 1 | 4 | 1.5000 | 1.5976 | +0.0976 |\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void The_summary_of_a_gate_that_failed_says_why()
    {
        GateResult failed = Gate with { Failure = new Diagnostic("ZQFP3001", DiagnosticSeverity.Error, "Perplexity rose by *much*_<b>") };
        string text = MarkdownReport.Render(Quantization, failed);

        Assert.StartsWith("## model.onnx: the gate failed\n", text, StringComparison.Ordinal);
        Assert.Contains("> **error ZQFP3001** Perplexity rose by \\*much\\*\\_&lt;b&gt;\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Each_file_becomes_what_its_name_ends_in_and_the_JSON_holds_both_results()
    {
        string quantize = Path.Combine(_folder, "quantize.json");
        string gate = Path.Combine(_folder, "gate.json");
        File.WriteAllText(quantize, JsonSerializer.Serialize(Quantization, JsonSerializerOptions.Web));
        File.WriteAllText(gate, JsonSerializer.Serialize(Gate, JsonSerializerOptions.Web));
        string[] outputs = [Path.Combine(_folder, "out/r.html"), Path.Combine(_folder, "out/r.MD"), Path.Combine(_folder, "out/r.json")];
        ReportJob.Write(new ReportOptions { QuantizationPath = quantize, GatePath = gate, OutputPaths = outputs });

        Assert.StartsWith("<!DOCTYPE html>", File.ReadAllText(outputs[0]), StringComparison.Ordinal);
        Assert.StartsWith("## model.onnx", File.ReadAllText(outputs[1]), StringComparison.Ordinal);
        JsonElement json = JsonDocument.Parse(File.ReadAllText(outputs[2])).RootElement;
        Assert.Equal(2, json.GetProperty("quantization").GetProperty("layers").GetArrayLength());
        Assert.True(json.GetProperty("gate").GetProperty("passed").GetBoolean());
    }

    [Fact]
    public void A_file_of_no_known_kind_is_ZQFP0002_and_nothing_is_written()
    {
        string quantize = Path.Combine(_folder, "quantize.json");
        File.WriteAllText(quantize, JsonSerializer.Serialize(Quantization, JsonSerializerOptions.Web));
        PipelineException error = Assert.Throws<PipelineException>(() => ReportJob.Write(new ReportOptions { QuantizationPath = quantize, OutputPaths = [Path.Combine(_folder, "r.html"), Path.Combine(_folder, "r.pdf")] }));

        Assert.Equal("ZQFP0002", error.Diagnostic.Code);
        Assert.Equal(["quantize.json"], Directory.GetFiles(_folder).Select(Path.GetFileName));
    }

    private static QuantizeReport Quantization { get; } = new()
    {
        Model = "float.onnx",
        Output = "out/model.onnx",
        Outputs = ["out/model.onnx"],
        Recipe = "FP4 E2M1 g256 M2 GPTQ + LoRC 8, FP8 activations",
        Layers = [new LayerReport("<odd> & | `layer", 8, 4, 2, 4.5, 3), new LayerReport("other", 8, 4, 2, 4.5, 1)],
        BitsPerWeight = 4.5,
        OriginalBytes = 1_000_000,
        QuantizedBytes = 300_000,
        CalibrationWindows = 96,
        Seconds = new Dictionary<string, double> { ["calibrate"] = 1.5 },
        Warnings = [],
    };

    private static GateResult Gate
    {
        get
        {
            EvaluationResult floating = Result(4, [1, 1.5]);
            EvaluationResult quantized = Result(4.2, [1, 1.5976]);
            return new GateResult
            {
                Summary = "",
                Float = floating,
                Quantized = quantized,
                Comparison = Comparison.Of(floating, quantized, new Divergence(0.05, 0.9)),
                Failure = null,
                Warnings = [],
                Regression = null,
            };
        }
    }

    private static EvaluationResult Result(double perplexity, double[] losses) =>
        new() { Perplexity = perplexity, Tokens = 8, Windows = 2, Window = 4, Predictions = 6, WindowLosses = losses, TextHash = "" };
}
