using Zqfp.Evaluation;
using Zqfp.Numerics;

namespace Zqfp.Quantization.Tests;

/// <summary>A model with token ids to calibrate and evaluate it on, and what is done with it in tests.</summary>
/// <param name="model">The model.</param>
/// <param name="calibration">Token ids.</param>
/// <param name="evaluation">Token ids.</param>
/// <param name="folder">Where results go.</param>
internal sealed class GraphCase(string model, string calibration, string evaluation, string folder)
{
    private const int Window = 32;

    /// <summary>The options of every run; the recipe is the default one.</summary>
    public QuantizeOptions Options { get; init; } = new()
    {
        ModelPath = model,
        OutputPath = Path.Combine(folder, "default", "model.onnx"),
        CalibrationPath = calibration,
        Window = Window,
    };

    /// <summary>A recipe that loses nothing of weights on the FP4 grid in groups of 16.</summary>
    public QuantizeOptions Exact => Options with
    {
        OutputPath = Path.Combine(folder, "exact", "model.onnx"),
        Activations = ActivationFormat.None,
        Quantization = QuantizePreset.Paper.Apply(new QuantizationOptions { Rank = 0, GroupSize = 16 }),
    };

    public SilentObserver Observer { get; } = new();

    public QuantizeReport Quantize(QuantizeOptions options) => QuantizeJob.Run(options, Observer, CancellationToken.None);

    public double Perplexity(string? path = null) => EvaluateJob.Run(
        new EvaluateOptions { ModelPath = path ?? model, TextPath = evaluation, Window = Window },
        new SilentObserver(),
        CancellationToken.None).Perplexity;

    /// <summary>How far the logits of a quantized model are from those of the float model.</summary>
    public VerifyResult Compare(string path) => VerifyJob.Run(
        new VerifyOptions { ReferencePath = model, ModelPath = path, TextPath = evaluation, Window = Window },
        new SilentObserver(),
        CancellationToken.None);

    public InspectReport Inspect() => InspectJob.Run(Options);
}
