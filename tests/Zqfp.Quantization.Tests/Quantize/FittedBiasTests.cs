using System.Security.Cryptography;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>
/// Biases that are fitted, in a decoder whose residual stream and head are all that is behind its last layer: the mean of its logits is
/// that of the float model.
/// </summary>
public sealed class FittedBiasTests : IDisposable
{
    private const int Windows = 32;
    private const int Window = 64;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(DataType.Float, EmissionProfile.Custom, ActivationFormat.Fp8)]
    [InlineData(DataType.Float, EmissionProfile.Portable, ActivationFormat.None)]
    [InlineData(DataType.Float, EmissionProfile.Stock, ActivationFormat.None)]
    [InlineData(DataType.Float, EmissionProfile.Simulated, ActivationFormat.Fp8)]
    [InlineData(DataType.Float16, EmissionProfile.Custom, ActivationFormat.None)]
    internal void The_mean_of_what_the_last_layer_gives_is_that_of_the_float_model(
        DataType type, EmissionProfile profile, ActivationFormat activations)
    {
        QuantizeOptions options = Options(type) with { Profiles = [profile], Activations = activations, AccuracyLevel = 1 };
        double[] expected = MeanLogits(options.ModelPath);
        double kept = Distance(expected, MeanLogits(Run(options)));
        double fitted = Distance(expected, MeanLogits(Run(options with { Bias = LayerBias.Fitted })));
        Assert.True(fitted < (type == DataType.Float ? 0.01 : 0.3) * kept, $"{fitted} for {kept}");
    }

    [Fact]
    public void The_bytes_are_the_same_on_any_number_of_threads_and_after_a_resume()
    {
        QuantizeOptions options = Options(DataType.Float) with { Bias = LayerBias.Fitted, Threads = 1 };
        string expected = Hash(Run(options));
        options = options with { WorkFolder = Path.Combine(_folder, "work"), Threads = 2 };
        Assert.Equal(expected, Hash(Run(options)));
        Assert.Equal(expected, Hash(Run(options)));
    }

    [Fact]
    public void What_layers_read_ranges_over_the_same_in_the_report()
    {
        ActivationRange?[] Ranges(LayerBias bias) => [.. QuantizeJob.Run(
            Options(DataType.Float) with { Bias = bias }, new SilentObserver(), CancellationToken.None)
            .Layers.Select(layer => layer.Activations)];
        Assert.Equal(Ranges(LayerBias.Float)[0], Ranges(LayerBias.Fitted)[0]);
    }

    [Fact]
    public void Without_a_target_they_are_ZQFP0005()
    {
        QuantizeOptions options = Options(DataType.Float) with { Bias = LayerBias.Fitted, LayerTarget = LayerTarget.None };
        Assert.Equal("ZQFP0005", Assert.Throws<ZqfpException>(() => Run(options)).Code);
    }

    private QuantizeOptions Options(DataType type) => new()
    {
        ModelPath = TinyDecoder.Write(_folder, type, hasBiases: true),
        OutputPath = Path.Combine(_folder, "out.onnx"),
        CalibrationPath = TinyDecoder.WriteTokens(_folder, Windows * Window),
        Window = Window,
        Windows = Windows,
        LayerTarget = LayerTarget.Residual,
        Quantization = new QuantizationOptions { GroupSize = 16 },
    };

    private double[] MeanLogits(string model)
    {
        using SessionOptions options = TestSessions.Quiet().AddZqfpOperators();
        using var session = new InferenceSession(model, options);
        byte[] tokens = File.ReadAllBytes(TinyDecoder.WriteTokens(_folder, Windows * Window));
        long[] ids = [.. Enumerable.Range(0, Windows * Window).Select(i => (long)BitConverter.ToInt32(tokens, 4 * i))];
        using OrtValue input = TestSessions.Tensor(ids, Windows, Window);
        using OrtValue output = session.Run(["input_ids"], [input], ["logits"])[0];
        TensorData logits = new((DataType)output.GetTensorTypeAndShape().ElementDataType, [ids.Length, TinyDecoder.Vocabulary],
            output.GetTensorMutableRawData().ToArray());
        float[] numbers = new float[ids.Length * TinyDecoder.Vocabulary];
        logits.ReadFloats(0, numbers);
        return [.. Enumerable.Range(0, TinyDecoder.Vocabulary)
            .Select(v => numbers.Where((_, i) => i % TinyDecoder.Vocabulary == v).Average(x => (double)x))];
    }

    private static double Distance(double[] one, double[] other) => Math.Sqrt(one.Zip(other, (a, b) => (a - b) * (a - b)).Sum());

    private static string Hash(string model) =>
        Convert.ToHexString(SHA256.HashData([.. File.ReadAllBytes(model), .. File.ReadAllBytes(model + ".data")]));

    private static string Run(QuantizeOptions options) =>
        QuantizeJob.Run(options, new SilentObserver(), CancellationToken.None).Output;
}
