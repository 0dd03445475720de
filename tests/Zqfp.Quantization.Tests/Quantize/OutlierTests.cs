using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization.Tests;

/// <summary>Models whose activations have outlier channels, the same in float as without them.</summary>
/// <param name="output">Is told the figures.</param>
public sealed class OutlierTests(ITestOutputHelper output) : IDisposable
{
    private const int Channels = 4;
    private const string Opt = "models/opt-tiny-32m/dynamo-fp16/model.onnx";
    private const string HeldTokens = "golden/held_tokens_llama32k.i16";

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void INT8_activations_break_FP8_do_not_and_the_rotation_mends_INT8_but_not_FP8()
    {
        QuantizeOptions options = SampleModel.Quick("");
        Measure(options, 256, new EvaluateOptions
        {
            ModelPath = "",
            TextPath = SampleModel.Evaluation,
            TokenizerPath = SampleModel.Tokenizer,
            Window = options.Window,
            Windows = 24,
        });
    }

    /// <summary>The same of a model with LayerNorm and in float16, whose weights bear a smaller factor.</summary>
    [LongReferenceFact(Opt, HeldTokens)]
    public void So_they_do_in_OPT()
    {
        const int Window = 256, Windows = 16, BytesOfToken = 2;
        byte[] tokens = File.ReadAllBytes(Repository.Reference(HeldTokens));
        string calibration = Path.Combine(_folder, "calibration.i16");
        string evaluation = Path.Combine(_folder, "evaluation.i16");
        File.WriteAllBytes(calibration, tokens[..(Windows * Window * BytesOfToken)]);
        File.WriteAllBytes(evaluation, tokens[^(Windows * Window * BytesOfToken)..]);
        Measure(
            new QuantizeOptions
            {
                ModelPath = Repository.Reference(Opt),
                OutputPath = "",
                CalibrationPath = calibration,
                Window = Window,
            },
            64,
            new EvaluateOptions { ModelPath = "", TextPath = evaluation, Window = Window });
    }

    private void Measure(QuantizeOptions options, float factor, EvaluateOptions evaluate)
    {
        string model = OutlierModel.Write(options.ModelPath, Path.Combine(_folder, "outliers"), Channels, factor);
        double Perplexity(string path) => EvaluateJob.Run(evaluate with { ModelPath = path }, new SilentObserver(), default).Perplexity;
        double floating = Perplexity(options.ModelPath);
        Assert.Equal(1, Perplexity(model) / floating, 1e-3);

        double Increase(ActivationFormat format, int rotation)
        {
            QuantizeReport report = QuantizeJob.Run(
                options with
                {
                    ModelPath = model,
                    OutputPath = Path.Combine(_folder, $"{format}-{rotation}", "model.onnx"),
                    Quantization = new QuantizationOptions { Format = NumberFormat.E4M3, Rank = 0 },
                    Activations = format,
                    Rotation = rotation,
                    Profiles = [EmissionProfile.Simulated],
                },
                new SilentObserver(),
                CancellationToken.None);
            double increase = (Perplexity(report.Output) / floating) - 1;
            output.WriteLine($"{format}, rotation {rotation}: {increase:P2}");
            return increase;
        }

        double int8 = Increase(ActivationFormat.Int8, QuantizeOptions.NoRotation);
        double fp8 = Increase(ActivationFormat.Fp8, QuantizeOptions.NoRotation);
        double rotated = Increase(ActivationFormat.Int8, 64);
        double both = Increase(ActivationFormat.Fp8, 64);
        double chosen = Increase(ActivationFormat.Fp8, QuantizeOptions.AutoRotation);
        Assert.True(int8 > 4 * fp8, $"INT8 costs {int8:P2}, FP8 {fp8:P2}.");
        Assert.True(fp8 < 0.05, $"FP8 costs {fp8:P2}.");
        Assert.True(rotated < int8 / 2, $"INT8 costs {int8:P2}, rotated {rotated:P2}.");
        Assert.True(both > fp8, $"FP8 costs {fp8:P2}, rotated {both:P2}.");
        Assert.True(chosen < 0.05, $"FP8 rotated where it helps costs {chosen:P2}.");
    }
}
