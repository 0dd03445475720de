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
        Assert.Contains("&lt;odd&gt; &amp; layer", page, StringComparison.Ordinal);
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
        PipelineException error = Assert.Throws<PipelineException>(() => ReportJob.Write(new ReportOptions { QuantizationPath = path, OutputPath = output }));

        Assert.Equal("ZQFP0011", error.Diagnostic.Code);
        Assert.Contains("quantize --json", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(output));
    }

    private static QuantizeReport Quantization { get; } = new()
    {
        Model = "float.onnx",
        Output = "out/model.onnx",
        Outputs = ["out/model.onnx"],
        Recipe = "FP4 E2M1 g256 M2 GPTQ + LoRC 8, FP8 activations",
        Layers = [new LayerReport("<odd> & layer", 8, 4, 2, 4.5, 3), new LayerReport("other", 8, 4, 2, 4.5, 1)],
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
