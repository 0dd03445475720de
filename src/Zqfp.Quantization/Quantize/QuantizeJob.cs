using Zqfp.Evaluation;
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
    public static QuantizeReport Run(QuantizeOptions options, IJobObserver observer, CancellationToken cancellation)
    {
        var inputs = new InputFiles();
        if (options.Target == OutputTarget.GenAi)
        {
            return GenAiFolderJob.Run(options, inputs, model => RunModel(model, inputs, observer, cancellation), observer, cancellation);
        }

        options = options.InGenAiFolder();
        QuantizeOptionRules.CheckOutputs(options);
        QuantizeOptionRules.RequireWritable(options.OutputPath);
        using var only = OutputLocks.Acquire(ProfileFiles.Of(options).Select(file => file.Path), line => observer.Note(line), cancellation);
        return RunModel(options, inputs, observer, cancellation);
    }

    /// <summary>The caller holds the locks of the outputs.</summary>
    private static QuantizeReport RunModel(
        QuantizeOptions options, InputFiles inputs, IJobObserver observer, CancellationToken cancellation)
    {
        using OnnxFile file = OnnxFile.Open(options.ModelPath);
        ModelLayers model = Check(options, file);
        using OutputLocks? work = LockWorkFolder(options.WorkFolder, observer, cancellation);
        file.AddTo(inputs, cancellation);
        inputs.AddTexts(options.CalibrationPath, options.TokenizerPath, cancellation);
        return options.Budget is null
            ? new QuantizationRun(options, file, model, inputs, observer, cancellation).Execute()
            : new BudgetRun(options, file, inputs, observer, cancellation).Execute();
    }

    /// <summary>A work folder has one user at a time: what is half-written in it is then nobody's.</summary>
    private static OutputLocks? LockWorkFolder(string? folder, IJobObserver observer, CancellationToken cancellation)
    {
        try
        {
            return folder is null ? null : OutputLocks.Acquire([Path.Combine(folder, "zqfp")], line => observer.Note(line), cancellation);
        }
        catch (ZqfpException e) when (e.Code == OutputLocks.CannotLock)
        {
            throw new ZqfpException(
                "ZQFP0007", $"The folder of --work cannot be used: {e.Message}", folder, e);
        }
    }

    private static ModelLayers Check(QuantizeOptions options, OnnxFile file)
    {
        AlreadyQuantized.Refuse(file);
        QuantizeOptionRules.Check(options);
        QuantizeOptionRules.CheckFiles(options);
        var model = ModelLayers.Of(file, options);
        model.Require(file);
        if (options.Budget is { } budget)
        {
            BudgetLimits.Of(file, model, options).Require(budget);
        }

        return model;
    }
}
