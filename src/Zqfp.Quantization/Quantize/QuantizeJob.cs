using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Quantizes a model: calibrates stage by stage, quantizes each stage's layers, writes the result.</summary>
internal static class QuantizeJob
{
    /// <summary>
    /// Refuses, in a moment, what <see cref="Run"/> would refuse before it begins: options that contradict each other, files that are
    /// missing, a model that cannot be used, an output that cannot be written.
    /// </summary>
    /// <exception cref="ZqfpException">The model, the text or the options cannot be used; the code says why.</exception>
    public static void Check(QuantizeOptions options)
    {
        QuantizeOptions model = options.Target == OutputTarget.GenAi ? GenAiFolderJob.Check(options) : options.InGenAiFolder();
        using OnnxFile file = OnnxFile.Open(model.ModelPath);
        Check(model, file);
    }

    /// <summary>Quantizes a model.</summary>
    /// <exception cref="ZqfpException">
    /// The model, the text or the options cannot be used; the code says why. No output is written.
    /// </exception>
    /// <exception cref="OperationCanceledException">
    /// Cancellation was asked for. Nothing is written but finished layers in the work folder.
    /// </exception>
    public static QuantizeReport Run(QuantizeOptions options, IJobObserver observer, CancellationToken cancellation) =>
        options.Target == OutputTarget.GenAi
        ? GenAiFolderJob.Run(options, model => RunModel(model, observer, cancellation))
        : RunModel(options.InGenAiFolder(), observer, cancellation);

    private static QuantizeReport RunModel(QuantizeOptions options, IJobObserver observer, CancellationToken cancellation)
    {
        using OnnxFile file = OnnxFile.Open(options.ModelPath);
        return new QuantizationRun(options, file, Check(options, file), observer, cancellation).Execute();
    }

    private static ModelLayers Check(QuantizeOptions options, OnnxFile file)
    {
        AlreadyQuantized.Refuse(file);
        QuantizeOptionRules.Check(options);
        QuantizeOptionRules.CheckFiles(options);
        var model = ModelLayers.Of(file, options);
        model.Require(file);
        return model;
    }
}
