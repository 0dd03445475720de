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
        QuantizeOptionRules.RequireDivision(options);
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

    /// <summary>Quantizes the layers of one shard into the work folder; no model is written.</summary>
    /// <exception cref="ZqfpException">As <see cref="Run"/>; ZQFP0040: the work cannot be divided so.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for. Finished layers stay.</exception>
    public static ShardReport RunShard(QuantizeOptions options, Shard shard, IJobObserver observer, CancellationToken cancellation)
    {
        options = options.Target == OutputTarget.GenAi ? GenAiFolderJob.Check(options) : options.InGenAiFolder();
        using OnnxFile file = OnnxFile.Open(options.ModelPath);
        ModelLayers model = Check(options, file);
        options = options with { Device = QuantizeDevice.Resolve(options, observer) };
        using ShardLocks work = WorkFolderLocks.OfShard(options.WorkFolder!, shard, observer, cancellation);
        var inputs = new InputFiles();
        file.AddTo(inputs, cancellation);
        inputs.AddTexts(options.CalibrationPath, options.TokenizerPath, cancellation);
        return AboutModel(file, () => new ShardRun(options, file, model, inputs, shard, work, observer, cancellation).Execute());
    }

    /// <summary>The caller holds the locks of the outputs.</summary>
    private static QuantizeReport RunModel(
        QuantizeOptions options, InputFiles inputs, IJobObserver observer, CancellationToken cancellation)
    {
        using OnnxFile file = OnnxFile.Open(options.ModelPath);
        ModelLayers model = Check(options, file);
        options = options with { Device = QuantizeDevice.Resolve(options, observer) };
        using OutputLocks? work = options.WorkFolder is { } folder ? WorkFolderLocks.OfRun(folder, observer, cancellation) : null;
        file.AddTo(inputs, cancellation);
        inputs.AddTexts(options.CalibrationPath, options.TokenizerPath, cancellation);
        return AboutModel(file, () => options.Budget is null
            ? new QuantizationRun(options, file, model, inputs, observer, cancellation).Execute()
            : new BudgetRun(options, file, inputs, observer, cancellation).Execute());
    }

    /// <summary>Names the model in errors about its numbers and graph, where who found them knows no files.</summary>
    private static T AboutModel<T>(OnnxFile file, Func<T> run)
    {
        try
        {
            return run();
        }
        catch (ZqfpException e) when (e.File is null && e.Code is ['Z', 'Q', 'F', 'P', '1' or '2', ..])
        {
            throw new ZqfpException(e.Code, e.Message, file.Path, e);
        }
    }

    private static ModelLayers Check(QuantizeOptions options, OnnxFile file)
    {
        AlreadyQuantized.Refuse(file);
        QuantizeOptionRules.Check(options);
        QuantizeDevice.Require(options);
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
