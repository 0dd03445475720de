using Microsoft.ML.OnnxRuntime;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using Zqfp.Tokenizers;

namespace Zqfp.Quantization.Tests;

/// <summary>The profiles in real ONNX Runtime, at its default optimization level.</summary>
public sealed class ProfileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Portable_computes_the_same_as_custom_with_and_without_our_operators()
    {
        string custom = Quantize(EmissionProfile.Custom, ActivationFormat.None);
        string portable = Quantize(EmissionProfile.Portable, ActivationFormat.None);
        double expected = SampleModel.Evaluate(custom, 8).Perplexity;
        Assert.Equal(1, SampleModel.Evaluate(portable, 8).Perplexity / expected, 5);
        Assert.Equal(1, StockPerplexity(portable, 8) / expected, 5);
    }

    [Fact]
    public void Stock_computes_the_same_as_custom_without_our_operators()
    {
        string custom = Quantize(EmissionProfile.Custom, ActivationFormat.None);
        double expected = SampleModel.Evaluate(custom, 8).Perplexity;
        Assert.Equal(1, StockPerplexity(Quantize(EmissionProfile.Stock, ActivationFormat.None, accuracyLevel: 1), 8) / expected, 5);
        string rounded = Quantize(EmissionProfile.Stock, ActivationFormat.None);
        Assert.InRange(StockPerplexity(rounded, 8) / expected, 0.995, 1.005);
        Assert.Equal(1, SampleModel.Evaluate(rounded, 8).Perplexity / StockPerplexity(rounded, 8), 5);
    }

    [Fact]
    public void Stock_says_what_it_stores_and_how_it_rounds()
    {
        string stock = Quantize(EmissionProfile.Stock, ActivationFormat.Fp8, accuracyLevel: 0);
        InspectReport report = InspectJob.Run(SampleModel.Quick("unused") with { ModelPath = stock });
        Assert.Equal("stock", report.Properties["zqfp.profile"]);
        Assert.EndsWith("activations of MatMulNBits level 0", report.Properties["zqfp.recipe"], StringComparison.Ordinal);
        Assert.InRange(double.Parse(report.Properties["zqfp.bits_per_weight"], System.Globalization.CultureInfo.InvariantCulture), 9, 10);
        Assert.Contains(report.Layers, layer => layer is { Operator: "MatMulNBits", Reason: "quantized already" });
        Assert.All(report.Layers.Where(layer => layer.Reason is null), layer => Assert.Equal("MatMul", layer.Operator));
    }

    /// <summary>
    /// Rounding activations amplifies the last bit of a sum into a step of FP8, so two correct runtimes differ by noise that
    /// only averages out over many tokens. Bit for bit equality of the rounding itself is OperatorBodyTests' business.
    /// </summary>
    [Fact]
    public void With_rounded_activations_the_profiles_differ_by_noise_alone()
    {
        string custom = Quantize(EmissionProfile.Custom, ActivationFormat.Fp8);
        string portable = Quantize(EmissionProfile.Portable, ActivationFormat.Fp8);
        double expected = SampleModel.Evaluate(custom, 16).Perplexity;
        Assert.Equal(1, SampleModel.Evaluate(portable, 16).Perplexity / expected, 5);
        Assert.InRange(StockPerplexity(portable, 16) / expected, 0.997, 1.003);
    }

    [Fact]
    public void A_simulation_computes_what_the_operators_compute()
    {
        string custom = Quantize(EmissionProfile.Custom, ActivationFormat.None);
        string simulated = Quantize(EmissionProfile.Simulated, ActivationFormat.None);
        Assert.Equal(1, SampleModel.Evaluate(simulated, 8).Perplexity / SampleModel.Evaluate(custom, 8).Perplexity, 5);
    }

    [Fact]
    public void A_simulation_is_marked_and_its_rounded_activations_differ_by_noise_alone()
    {
        string custom = Quantize(EmissionProfile.Custom, ActivationFormat.Fp8);
        string simulated = Quantize(EmissionProfile.Simulated, ActivationFormat.Fp8);
        Assert.InRange(SampleModel.Evaluate(simulated, 16).Perplexity / SampleModel.Evaluate(custom, 16).Perplexity, 0.997, 1.003);

        IReadOnlyDictionary<string, string> properties =
            InspectJob.Run(SampleModel.Quick("unused") with { ModelPath = simulated }).Properties;
        Assert.Equal("true", properties["zqfp.simulated"]);
        Assert.EndsWith("(simulated)", properties["zqfp.recipe"], StringComparison.Ordinal);
    }

    /// <summary>The more bits, the less is lost; a float16 model is simulated in float32 and keeps its type.</summary>
    [Fact]
    public void Formats_without_operator_are_simulated()
    {
        double floating = SampleModel.Evaluate(SampleModel.Model, 8).Perplexity;
        double int8 = SampleModel.Evaluate(Quantize(EmissionProfile.Simulated, ActivationFormat.Int8, NumberFormat.Int8), 8).Perplexity;
        double int4 = SampleModel.Evaluate(Quantize(EmissionProfile.Simulated, ActivationFormat.Int8, NumberFormat.Int4), 8).Perplexity;
        double e3m0 = SampleModel.Evaluate(Quantize(EmissionProfile.Simulated, ActivationFormat.Fp8E5M2, NumberFormat.E3M0), 8).Perplexity;

        Assert.InRange(int8 / floating, 0.99, 1.01);
        Assert.InRange(int4 / floating, 1.01, 1.15);
        Assert.InRange(e3m0 / floating, int4 / floating, 1.5);
    }

    private string Quantize(EmissionProfile profile, ActivationFormat activations, NumberFormat? format = null, int accuracyLevel = 4)
    {
        string output = Path.Combine(_folder, $"{profile}{format}{accuracyLevel}", "model.onnx");
        QuantizeJob.Run(
            SampleModel.Quick(output) with
            {
                Profiles = [profile],
                AccuracyLevel = accuracyLevel,
                Activations = activations,
                CalibrationPath = null,
                Quantization = new QuantizationOptions
                {
                    Format = format ?? NumberFormat.E2M1,
                    Method = QuantizationMethod.Rtn,
                    GroupSize = 96,
                    Rank = 2,
                },
            },
            new SilentObserver(),
            CancellationToken.None);
        return output;
    }

    /// <summary>Perplexity in a session that knows no operators of ours.</summary>
    private static double StockPerplexity(string model, int count)
    {
        PretrainedTokenizer tokenizer = PretrainedTokenizer.Load(SampleModel.Tokenizer);
        int[][] windows = TokenWindows.Cut(TextSource.Load(new TextSourceOptions { Path = SampleModel.Evaluation }, tokenizer), 128, count);
        using var session = new InferenceSession(model);
        double total = 0;
        foreach (int[] window in windows)
        {
            using OrtValue ids = OrtValue.CreateTensorValueFromMemory<long>(Array.ConvertAll(window, id => (long)id), [1, window.Length]);
            using OrtValue logits = session.Run(["input_ids"], [ids], ["logits"])[0];
            float[] rows = logits.GetTensorDataAsSpan<float>().ToArray();
            int vocabulary = rows.Length / window.Length;
            total += rows.Chunk(vocabulary).SkipLast(1)
                .Select((row, i) => TokenLoss.Of(row, window[i + 1], new float[vocabulary]))
                .Average();
        }

        return Math.Exp(total / windows.Length);
    }
}
