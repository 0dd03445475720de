using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization.Tests;

/// <summary>A model whose activations have outlier channels, the same in float as without them.</summary>
public sealed class OutlierTests : IDisposable
{
    private const int Windows = 24;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void INT8_activations_break_FP8_do_not_and_the_rotation_mends_INT8()
    {
        string model = OutlierModel.Write(SampleModel.Model, Path.Combine(_folder, "outliers"), channels: 4, factor: 256);
        double floating = SampleModel.Evaluate(SampleModel.Model, Windows).Perplexity;
        Assert.Equal(1, SampleModel.Evaluate(model, Windows).Perplexity / floating, 1e-4);

        double Increase(ActivationFormat format, int rotation)
        {
            QuantizeReport report = QuantizeJob.Run(
                SampleModel.Quick(Path.Combine(_folder, $"{format}-{rotation}", "model.onnx")) with
                {
                    ModelPath = model,
                    Quantization = new QuantizationOptions { Format = NumberFormat.E4M3, Rank = 0 },
                    Activations = format,
                    Rotation = rotation,
                    Profiles = [EmissionProfile.Simulated],
                },
                new SilentObserver(),
                CancellationToken.None);
            return (SampleModel.Evaluate(report.Output, Windows).Perplexity / floating) - 1;
        }

        double int8 = Increase(ActivationFormat.Int8, QuantizeOptions.NoRotation);
        double fp8 = Increase(ActivationFormat.Fp8, QuantizeOptions.NoRotation);
        double rotated = Increase(ActivationFormat.Int8, 64);
        Assert.True(int8 > 0.2, $"INT8 costs {int8:P2}.");
        Assert.True(fp8 < 0.05, $"FP8 costs {fp8:P2}.");
        Assert.True(rotated < int8 / 2, $"INT8 costs {int8:P2}, rotated {rotated:P2}.");
    }
}
