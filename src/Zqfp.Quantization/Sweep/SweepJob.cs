using Zqfp.Evaluation;

namespace Zqfp.Quantization;

/// <summary>
/// Quantizes a model in every configuration of the paper's tables and measures each. What is done is kept in the folder: a sweep
/// that was stopped continues within the configuration it was at.
/// </summary>
internal static class SweepJob
{
    /// <summary>Makes the tables.</summary>
    /// <exception cref="ZqfpException">The model, a text or the folder cannot be used; the code says why.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for. What is done is kept.</exception>
    public static SweepReport Run(SweepOptions options, IJobObserver observer, CancellationToken cancellation)
    {
        SweepTable[] tables = options.Tables.Count > 0 ? [.. options.Tables.Distinct().Order()] : Enum.GetValues<SweepTable>();
        SweepConfiguration[] configurations = [.. tables.SelectMany(SweepConfiguration.Of).DistinctBy(configuration => configuration.Name)];
        if (WritablePlace.ProblemOfFolder(options.Folder) is { } problem)
        {
            throw new ZqfpException(
                "ZQFP0002", $"The sweep's folder '{options.Folder}' cannot be written: {problem} Choose another --output.", options.Folder);
        }

        using var only = OutputLocks.Acquire([Path.Combine(options.Folder, "sweep")], line => observer.Note(line), cancellation);
        ModelFacts facts = ModelFacts.Read(options.ModelPath);
        var inputs = new InputFiles();
        inputs.Add(facts.Path, facts.Stamp, cancellation);
        inputs.AddTexts(options.CalibrationPath, options.TokenizerPath, cancellation);
        inputs.AddTexts(options.TextPath, options.TokenizerPath, cancellation);
        TokenWindowSet calibration = TokenWindowSet.Load(options.CalibrationPath, options.TokenizerPath, options.Window,
            options.CalibrationWindows, facts, cancellation: cancellation);
        TokenWindowSet evaluation = TokenWindowSet.Load(options.TextPath, options.TokenizerPath, options.Window,
            options.Windows, facts, cancellation: cancellation);
        var store = new SweepStore(Path.Combine(options.Folder, "results"), options.ModelPath,
            calibration.Windows.Concat(evaluation.Windows), inputs, cancellation);
        EvaluationResult floating = EvaluateJob.Run(Evaluation(options, options.ModelPath), new PhasePrefix(observer, "Float model"),
            cancellation);
        List<SweepRow> rows = [];
        foreach (SweepConfiguration configuration in configurations)
        {
            var told = new PhasePrefix(observer, $"{rows.Count + 1} of {configurations.Length}, {configuration.Name}");
            if (store.Read(configuration, observer) is not { } row)
            {
                row = Measure(options, configuration, floating, told, cancellation);
                store.Write(configuration, row, cancellation);
            }

            rows.Add(row);
        }

        return SweepFiles.Write(options.Folder, new SweepReport
        {
            Model = options.ModelPath,
            Float = floating,
            Tables = tables.ToDictionary(table => table,
                table => (IReadOnlyList<string>)[.. SweepConfiguration.Of(table).Select(configuration => configuration.Name)]),
            Rows = rows,
            Claims = SweepClaims.Check(rows),
            Files = [],
        });
    }

    private static SweepRow Measure(SweepOptions options, SweepConfiguration configuration, EvaluationResult floating,
        IJobObserver observer, CancellationToken cancellation)
    {
        string scratch = Path.Combine(options.Folder, "scratch");
        var quantize = new QuantizeOptions
        {
            ModelPath = options.ModelPath,
            OutputPath = Path.Combine(scratch, "model.onnx"),
            TokenizerPath = options.TokenizerPath,
            CalibrationPath = options.CalibrationPath,
            Window = options.Window,
            Windows = options.CalibrationWindows,
            Quantization = configuration.Quantization,
            Activations = configuration.Activations,
            Profiles = [configuration.Profile],
            WorkFolder = Path.Combine(scratch, "layers"),
            Threads = options.Threads,
        };
        QuantizeReport report = QuantizeJob.Run(quantize, observer, cancellation);
        EvaluationResult evaluation = EvaluateJob.Run(Evaluation(options, quantize.OutputPath), observer, cancellation);

        // The row stands for it from here on; a simulated model is as large as the float one.
        Directory.Delete(scratch, recursive: true);
        return new SweepRow
        {
            Name = configuration.Name,
            Recipe = report.Recipe,
            IsSimulated = configuration.IsSimulated,
            BitsPerWeight = report.BitsPerWeight,
            Evaluation = evaluation with { Against = Comparison.Of(floating, evaluation) },
        };
    }

    private static EvaluateOptions Evaluation(SweepOptions options, string modelPath) => new()
    {
        ModelPath = modelPath,
        TextPath = options.TextPath,
        TokenizerPath = options.TokenizerPath,
        Window = options.Window,
        Windows = options.Windows,
        CacheFolder = Path.Combine(options.Folder, "evaluations"),
        Threads = options.Threads,
    };

    /// <summary>Tells in every report which configuration it is about.</summary>
    private sealed class PhasePrefix(IJobObserver observer, string prefix) : IJobObserver
    {
        public void Report(JobProgress progress) => observer.Report(progress with { Phase = $"{prefix}: {progress.Phase}" });

        public void Warn(Diagnostic warning) => observer.Warn(warning);

        public void Note(string message, bool isDetail) => observer.Note(message, isDetail);
    }
}
