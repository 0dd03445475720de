using Zqfp.Numerics;
using Zqfp.OnnxRewriter.Emission;
using Zqfp.OnnxRuntime;
using Zqfp.Pipeline.Evaluate;
using Zqfp.Pipeline.Quantize;
using Zqfp.Pipeline.Text;

namespace Zqfp.Pipeline.Tests.Quantize;

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

    private string Quantize(EmissionProfile profile, ActivationFormat activations)
    {
        string output = Path.Combine(_folder, profile.ToString(), "model.onnx");
        QuantizeJob.Run(
            SampleModel.Quick(output) with
            {
                Profiles = [profile],
                Activations = activations,
                CalibrationPath = null,
                Quantization = new QuantizationOptions { Method = QuantizationMethod.Rtn, GroupSize = 96, Rank = 2 },
            },
            new SilentObserver(),
            CancellationToken.None);
        return output;
    }

    /// <summary>Perplexity in a session that knows no operators of ours.</summary>
    private static double StockPerplexity(string model, int count)
    {
        Tokenizer tokenizer = Tokenizer.Load(SampleModel.Tokenizer);
        int[][] windows = TokenWindows.Cut(TextSource.Load(new TextSourceOptions { Path = SampleModel.Evaluation }, tokenizer), 128, count);
        using var environment = new OrtEnvironment();
        using OrtSession session = OrtSession.Create(environment, model);
        double total = 0;
        foreach (int[] window in windows)
        {
            using OrtValue ids = OrtValue.Create<long>(environment, Array.ConvertAll(window, id => (long)id), [1, window.Length]);
            using OrtValue logits = session.Run(["input_ids"], [ids], ["logits"])[0];
            total += TokenLoss.Mean(logits.AsReadOnlySpan<float>(), window, (int)logits.Shape[2]);
        }

        return Math.Exp(total / windows.Length);
    }
}
