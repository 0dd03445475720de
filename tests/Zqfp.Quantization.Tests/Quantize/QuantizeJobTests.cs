using System.Text.Json.Nodes;
using Zqfp.Evaluation;
using Zqfp.Numerics;

namespace Zqfp.Quantization.Tests;

public sealed class QuantizeJobTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private string Output => Path.Combine(_folder, "out", "model.onnx");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_sample_loses_little_and_shrinks()
    {
        QuantizeReport report = Run(SampleModel.Quick(Output));
        Assert.Equal(28, report.Layers.Count);
        Assert.InRange(report.BitsPerWeight, 4.0, 5.6);
        Assert.True(report.QuantizedBytes < 0.45 * report.OriginalBytes, $"{report.QuantizedBytes} of {report.OriginalBytes}");
        EvaluationResult floating = SampleModel.Evaluate(SampleModel.Model, 32);
        EvaluationResult quantized = SampleModel.Evaluate(Output, 32);
        Assert.InRange(quantized.Perplexity / floating.Perplexity, 1.0, 1.06);
    }

    [Fact]
    public void Rounding_to_nearest_needs_no_text_and_loses_more_than_GPTQ()
    {
        Run(SampleModel.Quick(Output) with { Quantization = new QuantizationOptions { Rank = 0 } });
        double gptq = SampleModel.Evaluate(Output, 32).Perplexity;
        QuantizeReport report = Run(SampleModel.Quick(Output) with
        {
            CalibrationPath = null,
            TokenizerPath = null,
            Quantization = new QuantizationOptions { Method = QuantizationMethod.Rtn, Rank = 0 },
        });
        Assert.Equal(0, report.CalibrationWindows);
        Assert.True(SampleModel.Evaluate(Output, 32).Perplexity > gptq);
    }

    [Fact]
    public void The_same_input_gives_the_same_bytes_on_any_number_of_threads()
    {
        Run(SampleModel.Quick(Output) with { Threads = 1 });
        byte[] one = [.. File.ReadAllBytes(Output), .. File.ReadAllBytes(Output + ".data")];
        Run(SampleModel.Quick(Output) with { Threads = 2 });
        byte[] two = [.. File.ReadAllBytes(Output), .. File.ReadAllBytes(Output + ".data")];
        Assert.Equal(one, two);
    }

    [Fact]
    public void A_stopped_run_continues_where_it_stopped_and_gives_the_same_bytes()
    {
        QuantizeOptions options = SampleModel.Quick(Output) with { WorkFolder = Path.Combine(_folder, "work") };
        using var stop = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() => QuantizeJob.Run(options, new StopAfter(10, stop), stop.Token));
        Assert.False(File.Exists(Output));
        int finished = Directory.GetFiles(options.WorkFolder!).Length;
        Assert.InRange(finished, 9, 12);

        Run(options);
        byte[] resumed = File.ReadAllBytes(Output + ".data");
        Run(options with { WorkFolder = null });
        Assert.Equal(File.ReadAllBytes(Output + ".data"), resumed);
    }

    [Fact]
    public void A_damaged_kept_layer_is_quantized_again()
    {
        QuantizeOptions options = SampleModel.Quick(Output) with { WorkFolder = Path.Combine(_folder, "work") };
        Run(options);
        byte[] whole = File.ReadAllBytes(Output + ".data");
        string layer = Directory.GetFiles(options.WorkFolder!).Order(StringComparer.Ordinal).First();
        File.WriteAllBytes(layer, File.ReadAllBytes(layer)[..^1]);
        Run(options);
        Assert.Equal(whole, File.ReadAllBytes(Output + ".data"));
    }

    [Fact]
    public void Overwriting_the_models_weights_is_ZQFP0003()
    {
        string model = Path.Combine(_folder, "renamed.onnx");
        File.Copy(SampleModel.Model, model);
        File.Copy(SampleModel.Model + ".data", Path.Combine(_folder, "model.onnx.data"));
        ZqfpException error =
            Assert.Throws<ZqfpException>(() => Run(SampleModel.Quick(Path.Combine(_folder, "model.onnx")) with { ModelPath = model }));
        Assert.Equal("ZQFP0003", error.Code);
    }

    [Theory]
    [InlineData("FP4", ScaleConstraint.None)]
    [InlineData("FP8", ScaleConstraint.None)]
    internal void A_combination_without_operator_is_refused_before_any_work(string format, ScaleConstraint constraint) =>
        AssertRefused("ZQFP0005", SampleModel.Quick(Output) with
        {
            Activations = ActivationFormat.None,
            Quantization = new QuantizationOptions
            {
                Format = format == "FP4" ? NumberFormat.E2M1 : NumberFormat.E4M3,
                Constraint = constraint,
            },
        });

    [Fact]
    public void Layers_that_no_option_asks_for_any_more_go_in_time()
    {
        QuantizeOptions options = SampleModel.Quick(Output) with
        {
            WorkFolder = Path.Combine(_folder, "work"),
            Quantization = new QuantizationOptions { Method = QuantizationMethod.Rtn },
        };
        Run(options);
        string[] first = Directory.GetFiles(options.WorkFolder!);
        Assert.Equal(28, first.Length);
        Run(options with { Quantization = options.Quantization with { GroupSize = 64 } });
        Assert.Equal(56, Directory.GetFiles(options.WorkFolder!).Length);

        Array.ForEach(first, layer => File.SetLastWriteTimeUtc(layer, DateTime.UtcNow.AddDays(-31)));
        Run(options with { Quantization = options.Quantization with { GroupSize = 128 } });
        Assert.Equal(56, Directory.GetFiles(options.WorkFolder!).Except(first).Count());
        Assert.All(first, layer => Assert.False(File.Exists(layer)));
    }

    [Fact]
    public void A_finished_run_is_written_again_without_calibrating()
    {
        QuantizeOptions options = SampleModel.Quick(Output) with { WorkFolder = Path.Combine(_folder, "work") };
        Run(options);
        QuantizeReport again = Run(options);
        Assert.DoesNotContain("calibrate", again.Seconds.Keys);
        Assert.Equal(28, again.Layers.Count);
    }

    [Theory]
    [InlineData(ScaleConstraint.None)]
    [InlineData(ScaleConstraint.M1)]
    internal void Group_scales_without_exponents_reach_the_model(ScaleConstraint constraint)
    {
        Run(SampleModel.Quick(Output) with
        {
            CalibrationPath = null,
            Quantization = new QuantizationOptions { Method = QuantizationMethod.Rtn, Constraint = constraint, GroupSize = 96, Rank = 0 },
        });
        Assert.InRange(SampleModel.Evaluate(Output, 4).Perplexity / SampleModel.Evaluate(SampleModel.Model, 4).Perplexity, 1, 1.15);
    }

    [Fact]
    public void A_missing_model_is_ZQFP0001_and_writes_nothing() =>
        AssertRefused("ZQFP0001", SampleModel.Quick(Output) with { ModelPath = Path.Combine(_folder, "none.onnx") });

    [Fact]
    public void A_truncated_model_is_ZQFP1001_and_writes_nothing()
    {
        string path = Path.Combine(_folder, "cut.onnx");
        File.WriteAllBytes(path, File.ReadAllBytes(SampleModel.Model)[..1000]);
        AssertRefused("ZQFP1001", SampleModel.Quick(Output) with { ModelPath = path });
    }

    [Fact]
    public void A_model_without_its_data_is_ZQFP1002_and_writes_nothing()
    {
        string path = Path.Combine(_folder, "alone.onnx");
        File.Copy(SampleModel.Model, path);
        AssertRefused("ZQFP1002", SampleModel.Quick(Output) with { ModelPath = path });
    }

    [Fact]
    public void GPTQ_without_text_is_ZQFP0006() =>
        AssertRefused("ZQFP0006", SampleModel.Quick(Output) with { CalibrationPath = null });

    [Fact]
    public void Overwriting_the_model_is_ZQFP0003() =>
        AssertRefused("ZQFP0003", SampleModel.Quick(SampleModel.Model));

    [Fact]
    public void A_text_shorter_than_a_window_is_ZQFP0113()
    {
        string text = Path.Combine(_folder, "short.txt");
        File.WriteAllText(text, "Once upon a time");
        AssertRefused("ZQFP0113", SampleModel.Quick(Output) with { CalibrationPath = text });
    }

    [Fact]
    public void A_tokenizer_that_does_not_fit_the_vocabulary_is_a_coded_error()
    {
        string tokenizer = Path.Combine(_folder, "tokenizer.json");
        JsonNode json = JsonNode.Parse(File.ReadAllText(SampleModel.Tokenizer))!;
        json["model"]!["vocab"]!["\u0120the"] = 5000;
        File.WriteAllText(tokenizer, json.ToJsonString());
        ZqfpException error = Assert.Throws<ZqfpException>(() => Run(SampleModel.Quick(Output) with { TokenizerPath = tokenizer }));
        Assert.StartsWith("ZQFP01", error.Code, StringComparison.Ordinal);
        Assert.False(File.Exists(Output));
    }

    private static QuantizeReport Run(QuantizeOptions options) => QuantizeJob.Run(options, new SilentObserver(), CancellationToken.None);

    private void AssertRefused(string code, QuantizeOptions options)
    {
        ZqfpException error = Assert.Throws<ZqfpException>(() => Run(options));
        Assert.Equal(code, error.Code);
        Assert.False(Directory.Exists(Path.GetDirectoryName(Output)));
    }

    /// <summary>Asks for cancellation once so many layers are done.</summary>
    private sealed class StopAfter(int layers, CancellationTokenSource stop) : IJobObserver
    {
        public void Report(JobProgress progress)
        {
            if (progress.Done >= layers)
            {
                stop.Cancel();
            }
        }

        public void Warn(Diagnostic warning)
        {
        }
    }
}
