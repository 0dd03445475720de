using Zqfp.Evaluation;
using Zqfp.Numerics;

namespace Zqfp.Quantization.Tests;

/// <summary>A trained mixture of experts, exported with its experts in one constant and as a loop over them.</summary>
public sealed class MoeTinyTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [ReferenceFact("models/moe-tiny", "text/tinystories-evaluation.txt")]
    public void Rounded_to_nearest_both_exports_are_the_same_model()
    {
        QuantizationOptions nearest = new() { Method = QuantizationMethod.Rtn, Rank = 0 };
        (QuantizeReport Report, double Perplexity) batched = Run("batched", nearest, windows: 2);
        (QuantizeReport Report, double Perplexity) loop = Run("loop", nearest, windows: 2);
        Assert.Equal(1, loop.Perplexity / batched.Perplexity, 1e-9);
    }

    /// <summary>
    /// Each token goes to two experts, whose sum is the same in any order: all that is computed has the same bits in both exports.
    /// </summary>
    [LongReferenceFact("models/moe-tiny", "text/tinystories-calibration.txt", "text/tinystories-evaluation.txt")]
    public void By_default_both_exports_have_the_same_perplexity_and_size_and_tell_every_experts_error_and_tokens()
    {
        (QuantizeReport Report, double Perplexity) batched = Run("batched", new(), windows: 0);
        (QuantizeReport Report, double Perplexity) loop = Run("loop", new(), windows: 0);
        Assert.Equal(1, loop.Perplexity / batched.Perplexity, 1e-9);
        Assert.Equal(batched.Report.BitsPerWeight, loop.Report.BitsPerWeight, 1e-9);
        Assert.InRange(batched.Perplexity / 5.3532, 1, 1.03);
        LayerReport[] experts = [.. batched.Report.Layers.Concat(loop.Report.Layers).Where(layer => layer.Tokens is not null)];
        Assert.Equal(4 * 8 * (2 + 3), experts.Length);
        Assert.All(experts, layer => Assert.True(layer.Tokens > 0 && layer.OutputError > 0));
    }

    private (QuantizeReport Report, double Perplexity) Run(string name, QuantizationOptions quantization, int windows)
    {
        string tokenizer = Repository.Reference("models/moe-tiny/tokenizer.json");
        QuantizeReport report = QuantizeJob.Run(
            new QuantizeOptions
            {
                ModelPath = Repository.Reference($"models/moe-tiny/{name}.onnx"),
                OutputPath = Path.Combine(_folder, name, "model.onnx"),
                TokenizerPath = tokenizer,
                CalibrationPath = Repository.Reference("text/tinystories-calibration.txt"),
                Quantization = quantization,
            },
            new SilentObserver(), CancellationToken.None);
        double perplexity = EvaluateJob.Run(
            new EvaluateOptions
            {
                ModelPath = report.Output,
                TextPath = Repository.Reference("text/tinystories-evaluation.txt"),
                TokenizerPath = tokenizer,
                Windows = windows,
            },
            new SilentObserver(), CancellationToken.None).Perplexity;
        return (report, perplexity);
    }
}
