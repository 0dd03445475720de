using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Quantizes a model: calibrates stage by stage, quantizes each stage's layers, writes the result.</summary>
public static class QuantizeJob
{
    /// <summary>Quantizes a model.</summary>
    /// <exception cref="ZqfpException">The model, the text or the options cannot be used; the code says why. No output is written.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for. Nothing is written but finished layers in the work folder.</exception>
    public static QuantizeReport Run(QuantizeOptions options, IJobObserver observer, CancellationToken cancellation) => options.Target == OutputTarget.GenAi
        ? GenAiFolderJob.Run(options, model => RunModel(model, observer, cancellation))
        : RunModel(options.InGenAiFolder(), observer, cancellation);

    private static QuantizeReport RunModel(QuantizeOptions options, IJobObserver observer, CancellationToken cancellation)
    {
        QuantizeOptionRules.Check(options);
        using OnnxFile file = OnnxFile.Open(options.ModelPath);
        return new QuantizationRun(options, file, observer, cancellation).Execute();
    }
}
