using System.Text.Json;
using System.Text.RegularExpressions;
using Zqfp.Evaluation;
using Zqfp.Quantization;

namespace Zqfp.Reporting.Tests;

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
        Assert.Equal(2, Regex.Count(page, "<circle class=\"(dot|worst)\""));
        Assert.Contains("window 1: 1.500, &#x2B;0.0976", page.Replace("+", "&#x2B;", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.DoesNotMatch("(src|href)=(?!\"data:,)|url\\(|https?:|<script", page);
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

    [Fact]
    public void A_weight_that_layers_share_counts_once_among_the_bytes()
    {
        LayerReport owner = new("owner", 1000, 1000, 0, 4.5, 3) { FloatBytes = 4_000_000, Bytes = new LayerBytes(500_000, 62_500, 0) };
        QuantizeReport shared = Quantization with
        {
            OriginalBytes = 4_500_000,
            QuantizedBytes = 1_062_500,
            Layers = [owner, owner with { Name = "other", OutputError = null, SharesWeightOf = "owner" }],
        };
        string page = HtmlReport.Render(shared, null);

        Assert.Contains("weights to quantize 4.0 MB", page, StringComparison.Ordinal);
        Assert.Contains("codes 0.5 MB", page, StringComparison.Ordinal);
        Assert.Contains("graph) 0.5 MB", page, StringComparison.Ordinal);
        Assert.DoesNotContain("low-rank corrections", page, StringComparison.Ordinal);
        Assert.Contains("has the weight of owner", page, StringComparison.Ordinal);
    }

    [Fact]
    public void An_older_result_that_does_not_tell_shared_weights_apart_has_no_negative_bytes()
    {
        QuantizeReport older = Quantization with
        {
            QuantizedBytes = 3,
            Layers = [new LayerReport("one", 8, 4, 0, 4.5, 3), new LayerReport("two", 8, 4, 0, 4.5, null)],
        };
        string page = HtmlReport.Render(older, null);

        Assert.Contains("graph) 0.0 MB", page, StringComparison.Ordinal);
        Assert.DoesNotMatch(" -[0-9.]+ MB|width:-[0-9]", page);
    }

    [Fact]
    public void Ranges_are_drawn_once_for_the_layers_that_read_the_same_value()
    {
        var range = new ActivationRange(Largest: 80, TokenLow: 1, TokenMedian: 2, TokenHigh: 4, Rms: 0.5f, ChannelMedian: 4);
        LayerReport[] layers = [.. ((string[])["layers.0.q", "layers.0.k", "layers.0.up", "layers.1.q"])
            .Select((name, i) => new LayerReport(
                $"node_{i}", 8, 4, 0, 4.5, 1) { Module = name, Activations = i < 2 ? range : range with { Largest = 10 + i } })];
        string page = HtmlReport.Render(Quantization with { Layers = layers }, null);

        Assert.Contains("<td class=\"name\">layers.0.q, k<td>", page, StringComparison.Ordinal);
        Assert.Equal(3, Regex.Count(page, "class=\"top\""));
        Assert.Contains("<td class=\"n\">80.0<td class=\"n\">2.00<td class=\"n\">4.00<td class=\"n hot\">20.0",
            page, StringComparison.Ordinal);

        // The axis runs from 0.1 to 100: 0.5, 2 and 80 have their places on it.
        Assert.Contains(
            "class=\"rms\" style=\"left:23.3%\"></i><i class=\"middle\" style=\"left:43.37%\"></i><i class=\"top\" style=\"left:96.77%\"",
            page, StringComparison.Ordinal);
    }

    [Fact]
    public void Inputs_of_which_most_channels_never_speak_have_no_ratio()
    {
        var range = new ActivationRange(Largest: 8, TokenLow: 0, TokenMedian: 0, TokenHigh: 4, Rms: 0.5f, ChannelMedian: 0);
        string page = HtmlReport.Render(
            Quantization with { Layers = [new LayerReport("layer", 8, 4, 0, 4.5, 1) { Activations = range }] }, null);
        Assert.DoesNotMatch("NaN|Infinity|∞", page);
    }

    [Fact]
    public void What_older_versions_wrote_has_a_report()
    {
        string path = Path.Combine(_folder, "quantize.json");
        File.WriteAllText(path, """
            { "model": "m.onnx", "output": "out/m.onnx", "outputs": ["out/m.onnx"], "recipe": "FP4", "bitsPerWeight": 4.5, "originalBytes": 1000, "quantizedBytes": 300,
              "layers": [{ "name": "layer", "rows": 8, "columns": 4, "rank": 0, "bitsPerWeight": 4.5, "outputError": 0.5 }],
              "calibrationWindows": 96, "seconds": { "write": 1 }, "warnings": [] }
            """);
        string output = Path.Combine(_folder, "report.html");
        ReportJob.Write(new ReportOptions { Sources = [new(path, null)], OutputPaths = [output] });

        string page = File.ReadAllText(output);
        Assert.Contains("quantized weights", page, StringComparison.Ordinal);
        Assert.DoesNotContain("activations range", page, StringComparison.Ordinal);
    }

    [BrowserFact]
    public void A_browser_draws_it_without_a_word_to_console_or_network_wide_and_narrow()
    {
        var range = new ActivationRange(Largest: 80, TokenLow: 1, TokenMedian: 2, TokenHigh: 4, Rms: 0.5f, ChannelMedian: 4);
        LayerReport[] layers =
        [
            .. Enumerable.Range(0, 6).Select(i => new LayerReport($"a_rather_long_name_of_a_node_that_has_no_spaces_{i}",
                8, 4, 0, 4.5, 1 + i) { Module = $"model.layers.{i / 2}.mlp.part{i % 2}", Activations = range with { Largest = 80 + i } })
        ];
        string page = HtmlReport.Render(Quantization with { Layers = layers }, Gate with { MaxPerplexityIncrease = 0.05 });
        foreach (int width in (int[])[1100, 500])
        {
            BrowserPage seen = BrowserPage.Open(page, _folder, width);
            Assert.Equal("", seen.Console);
            Assert.Equal(0, seen.Requests);
            Assert.Equal(2 + 1, seen.VisibleCircles);
            Assert.True(seen.ContentWidth <= seen.ViewportWidth, $"{seen.ContentWidth} pixels wide in a window of {seen.ViewportWidth}.");
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{ \"perplexity\": 4.2 }")]
    [InlineData("""{ "model": null, "output": "", "outputs": [], "recipe": "", "bitsPerWeight": 1, "originalBytes": 1, "quantizedBytes": 1, "layers": [], "calibrationWindows": 0, "seconds": {}, "warnings": [] }""")]
    [InlineData("""{ "model": "", "output": "", "outputs": [], "recipe": "", "bitsPerWeight": 1, "originalBytes": 1, "quantizedBytes": 1, "layers": null, "calibrationWindows": 0, "seconds": {}, "warnings": [] }""")]
    [InlineData("""{ "model": "", "output": "", "outputs": [], "recipe": "", "bitsPerWeight": 1, "originalBytes": 1, "quantizedBytes": 1, "layers": [null], "calibrationWindows": 0, "seconds": {}, "warnings": [] }""")]
    public void A_file_that_is_no_result_is_ZQFP0011_and_writes_nothing(string content)
    {
        string path = Path.Combine(_folder, "quantize.json");
        File.WriteAllText(path, content);
        string output = Path.Combine(_folder, "report.html");
        ZqfpException error =
            Assert.Throws<ZqfpException>(() => ReportJob.Write(new ReportOptions { Sources = [new(path, null)], OutputPaths = [output] }));

        Assert.Equal("ZQFP0011", error.Code);
        Assert.Contains("quantize --json", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(output));
    }

    [Fact]
    public void A_gate_without_windows_or_with_other_ones_for_each_model_is_ZQFP0011()
    {
        string quantize = Path.Combine(_folder, "quantize.json");
        File.WriteAllText(quantize, JsonSerializer.Serialize(Quantization, JsonSerializerOptions.Web));
        foreach (GateResult wrong in (GateResult[])[Gate with { Float = Result(4, []), Quantized = Result(4, []) },
            Gate with { Float = Result(4, [1]) }])
        {
            string gate = Path.Combine(_folder, "gate.json");
            File.WriteAllText(gate, JsonSerializer.Serialize(wrong, JsonSerializerOptions.Web));
            ZqfpException error =
                Assert.Throws<ZqfpException>(() => ReportJob.Write(
                    new ReportOptions { Sources = [new(quantize, gate)], OutputPaths = [Path.Combine(_folder, "r.html")] }));
            Assert.Equal(("ZQFP0011", gate), (error.Code, error.File));
        }
    }

    [Fact]
    public void Swapped_results_are_said_to_be_swapped()
    {
        string quantize = Path.Combine(_folder, "quantize.json");
        string gate = Path.Combine(_folder, "gate.json");
        File.WriteAllText(quantize, JsonSerializer.Serialize(Quantization, JsonSerializerOptions.Web));
        File.WriteAllText(gate, JsonSerializer.Serialize(Gate, JsonSerializerOptions.Web));
        var options = new ReportOptions { Sources = [new(gate, quantize)], OutputPaths = [Path.Combine(_folder, "r.html")] };

        ZqfpException error = Assert.Throws<ZqfpException>(() => ReportJob.Write(options));
        Assert.Equal(("ZQFP0011", gate), (error.Code, error.File));
        Assert.Contains("is what 'dotnet zqfp gate --json' writes. Are the two files swapped?", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "model": "m" }""", "it lacks 'output', 'outputs', 'recipe'")]
    [InlineData("""{ "model": 3 }""", "the value at '$.model' is of another kind.")]
    [InlineData("[]", "the value is of another kind.")]
    public void What_is_wrong_with_a_result_is_told_in_its_own_words(string content, string expected)
    {
        string path = Path.Combine(_folder, "quantize.json");
        File.WriteAllText(path, content);
        var options = new ReportOptions { Sources = [new(path, null)], OutputPaths = [Path.Combine(_folder, "r.html")] };

        ZqfpException error = Assert.Throws<ZqfpException>(() => ReportJob.Write(options));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("Zqfp.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_summary_tells_the_tokens_of_experts_and_leaves_them_out_where_there_are_none()
    {
        LayerReport dense = new("dense", 8, 4, 2, 4.5, 3);
        QuantizeReport mixture = Quantization with { Layers = [dense with { Name = "expert", Tokens = 7 }, dense] };
        string[] rows =
        [
            .. MarkdownReport.Render(mixture, null).Split('\n').Where(line => line.Contains("| 8 x 4 |", StringComparison.Ordinal))
        ];
        Assert.StartsWith("| `expert` | 7 | 8 x 4 |", rows[0], StringComparison.Ordinal);
        Assert.StartsWith("| `dense` |  | 8 x 4 |", rows[1], StringComparison.Ordinal);
        Assert.DoesNotContain("tokens |", MarkdownReport.Render(Quantization with { Layers = [dense] }, null), StringComparison.Ordinal);
    }

    [Fact]
    public void The_summary_for_a_CI_job_names_layers_as_the_page_does()
    {
        string text = MarkdownReport.Render(
            Quantization with { Layers = [new LayerReport("node_linear", 8, 4, 2, 4.5, 3) { Module = "model.layers.0.mlp.up_proj" }] },
            null);
        Assert.Contains("| `model.layers.0.mlp.up_proj` | 8 x 4 |", text, StringComparison.Ordinal);
    }

    [Fact]
    public void The_summary_for_a_CI_job_has_the_verdict_and_the_figures_and_no_markup_of_a_name()
    {
        string text = MarkdownReport.Render(Quantization, Gate);

        Assert.StartsWith("## model.onnx: the gate passed\n", text, StringComparison.Ordinal);
        Assert.Contains("| perplexity | 4.000 | 4.200 | +5 % |\n", text, StringComparison.Ordinal);
        Assert.Contains("| size | 1.0 MB | 0.3 MB | -70 % |\n", text, StringComparison.Ordinal);
        Assert.Contains("| `<odd> & \u00A6 'layer` | 8 x 4 | 2 | 4.50 | 75.0 % |\n", text, StringComparison.Ordinal);
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
        ReportJob.Write(new ReportOptions { Sources = [new(quantize, gate)], OutputPaths = outputs });

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
        ZqfpException error =
            Assert.Throws<ZqfpException>(
                () => ReportJob.Write(new ReportOptions
                {
                    Sources = [new(quantize, null)],
                    OutputPaths = [Path.Combine(_folder, "r.html"), Path.Combine(_folder, "r.pdf")],
                }));

        Assert.Equal("ZQFP0002", error.Code);
        Assert.Equal(["quantize.json"], Directory.GetFiles(_folder).Select(Path.GetFileName));
    }

    [Fact]
    public void Several_models_are_compared_in_a_table_by_size_and_a_drawing()
    {
        ReportedModel[] models =
        [
            new(Quantization with { Output = "a/big/model.onnx", QuantizedBytes = 9_000_000, Recipe = "<FP8>" }, Gate),
            new(Quantization with { Output = "a/small/model.onnx", QuantizedBytes = 4_000_000 }, Gate with { Tasks = [] }),
            new(Quantization with { Output = "a/unmeasured/model.onnx", QuantizedBytes = 6_000_000 }, null),
        ];
        string page = ComparisonReport.RenderHtml(models);

        Assert.Equal(2, Regex.Count(page, "<circle class=\"point\""));
        int place(string name) => page.IndexOf($">{name}/model.onnx<td", StringComparison.Ordinal);
        Assert.True(place("small") < place("big"));
        Assert.Contains("&lt;FP8&gt;", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<FP8>", page, StringComparison.Ordinal);
        Assert.DoesNotMatch("(src|href)=(?!\"data:,)|url\\(|https?:|<script|NaN", page);

        string[] rows = [.. ComparisonReport.RenderMarkdown(models).Split('\n').Where(line => line.StartsWith('|'))];
        Assert.Equal(2 + models.Length, rows.Length);
        Assert.Single(rows.Select(row => row.Count(letter => letter == '|')).Distinct());
        Assert.StartsWith("| small/model.onnx", rows[2].Replace("\\", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public void Models_measured_against_different_float_models_are_said_not_to_be_comparable()
    {
        GateResult other = Gate with { Float = Gate.Float! with { Perplexity = 5 } };
        Assert.NotNull(ComparisonTable.Caution([new(Quantization, Gate), new(Quantization, other)]));
        Assert.Null(ComparisonTable.Caution([new(Quantization, Gate), new(Quantization, Gate), new(Quantization, null)]));
    }

    [Fact]
    public void Models_are_told_apart_by_their_folders_or_else_by_numbers()
    {
        ReportedModel[] models = [.. ((string[])["x/a/m.onnx", "y/a/m.onnx", "y/a/m.onnx"]).Select(
            path => new ReportedModel(Quantization with { Output = path }, null))];
        Assert.Equal(["x/a/m.onnx", "y/a/m.onnx (2)", "y/a/m.onnx (3)"], ReportedModel.Names(models));
        Assert.Equal(["x/a/m.onnx", "y/a/m.onnx"], ReportedModel.Names(models[..2]));
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
                Comparison = Comparison.Of(floating, quantized,
                    Divergence.Of([new TokenComparison(1, 1.05, new LogitDifference(1, 0, 0, 0.05, 0.05, 1))], tokensPerWindow: 1)),
                Failure = null,
                Warnings = [],
                Regression = null,
            };
        }
    }

    private static EvaluationResult Result(double perplexity, double[] losses) =>
        new() { Perplexity = perplexity, Tokens = 8, Windows = 2, Window = 4, Predictions = 6, WindowLosses = losses, TextHash = "" };
}
