using System.Globalization;
using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Tells what quantizing would do, and what memory, disk and time it would need, without doing it.</summary>
internal static class PlanJob
{
    /// <summary>Where all of a text is asked for and none is named.</summary>
    private const int AssumedWindows = 128;

    /// <summary>From where on waiting for processors is told.</summary>
    private const double BusyFrom = 1.25;

    /// <summary>Plans the quantization that <paramref name="options"/> describe; nothing is written.</summary>
    /// <param name="options">
    /// As for <see cref="QuantizeJob"/>. Without a calibration text the number of windows is taken as asked for.
    /// </param>
    /// <param name="cancellation">Ends the reading of the text and the measuring of this machine.</param>
    /// <exception cref="ZqfpException">What <see cref="QuantizeJob"/> would refuse before it begins.</exception>
    public static QuantizePlan Run(QuantizeOptions options, CancellationToken cancellation)
    {
        options = options.Target == OutputTarget.GenAi ? GenAiFolderJob.Check(options) : options.InGenAiFolder();
        bool calibrates = QuantizeOptionRules.NeedsCalibration(options);
        bool isAssumed = calibrates && options.CalibrationPath is null;
        using OnnxFile file = OnnxFile.Open(options.ModelPath);
        AlreadyQuantized.Refuse(file);
        QuantizeOptionRules.Check(isAssumed ? options with { CalibrationPath = string.Empty } : options);
        QuantizeOptionRules.RequirePlaces(options);
        ModelLayers model = ModelLayers.Of(file, options);
        model.Require(file);
        BudgetLimits? limits = options.Budget is null ? null : BudgetLimits.Of(file, model, options);
        limits?.Require(options.Budget!);
        InspectReport report = InspectJob.Of(file, model, options);
        IReadOnlyList<LayerChoice> chosen = model.Chosen;
        int windows = !calibrates
            ? 0
            : isAssumed ? (options.Windows > 0 ? options.Windows : AssumedWindows)
            : TokenWindowSet.Load(options.CalibrationPath!, options.TokenizerPath, options.Window, options.Windows,
                model.Facts, options.Reading, options.WindowSeed, cancellation).Windows.Count;
        long tokens = (long)windows * options.Window;
        var plan = new TargetPlan(options, file, model, [.. chosen.Select(choice => choice.Layer)]);
        IReadOnlyList<CalibrationStage> stages = plan.Stages;
        Dictionary<string, LayerChoice> choices = chosen.ToDictionary(choice => choice.Layer.Name);
        long weights = chosen.Sum(choice => (long)choice.Layer.OutFeatures * choice.Layer.InFeatures);
        long structure = Math.Max(0, report.FileBytes - report.QuantizableBytes - report.OtherBytes);
        long output = structure + report.OtherBytes + (options.IsSimulated ? weights * sizeof(float) : report.QuantizedBytes);
        long rows = model.Vocabulary.Embeddings.Sum(table => (long)table.Rows * table.Columns);
        bool hasTargets = options.LayerTarget != LayerTarget.None;
        (long Peak, long Boundaries) Needs(MemoryUse use) => MemoryEstimate.Of(model.Graph, plan, hasTargets, choices, tokens, use);
        var use = MemoryUse.Within(options.Memory, use => Needs(use).Peak + rows);
        (long peak, long boundaries) = Needs(use);
        var memory = new Requirement(peak + rows, Math.Min(options.Memory ?? long.MaxValue, Machine.AvailableMemory));
        var disk = new Requirement(
            (output * options.Profiles.Distinct().Count()) + report.QuantizedBytes + (use.SpillsBoundaries ? boundaries : 0),
            Machine.FreeDisk(options.OutputPath));
        var rates = MachineRates.Measure(options.Quantization, options.Threads, cancellation);
        return new QuantizePlan
        {
            Model = report,
            Output = options.OutputPath,
            Budget = limits is null
                ? null
                : $"{options.Budget!.Describe()}, of what can be reached {limits.Describe()}; which layer gets what is chosen while "
                    + "quantizing, by errors measured on the calibration text. Size and time below are those without a budget",
            BitsPerWeight = 8.0 * (report.QuantizedBytes - model.Vocabulary.EmbeddingBytes) / weights,
            OutputBytes = output,
            CalibrationWindows = windows,
            WindowsAreAssumed = isAssumed,
            Window = options.Window,
            Stages = stages.Count,
            Memory = memory,
            Disk = disk,
            Seconds = WorkEstimate.Seconds(options, model.Graph, plan, chosen, tokens, output + report.FileBytes, rates),
            Shards = options.Shards is { } count
                ? ShardEstimate.Of(options, file, model, plan, choices, tokens, output, use, rates, count)
                : [],
            Basis = [.. Basis(rates, calibrates), .. Describe(options.Device), .. Describe(use)],
            Warnings = [.. model.Warnings(options, report.Coverage), .. Warnings(options, memory, disk)],
        };
    }

    private static string[] Describe(ZqfpDevice device) => device == ZqfpDevice.Cpu
        ? []
        : ["the time is that of the processors alone: how much sooner a GPU is done is not estimated"];

    private static string[] Describe(MemoryUse use) => use == MemoryUse.Usual
        ? []
        : [string.Create(CultureInfo.InvariantCulture,
            $"within --memory: values between slices are in files, and {use.TokensAtOnce} tokens are computed at a time")];

    private static string[] Basis(MachineRates rates, bool calibrates) =>
    [
        string.Create(CultureInfo.InvariantCulture,
            $"measured now on this machine, layers of 512 x 512 and 512 x 2048, with these options: {Operations(rates)}"
            + $"{rates.WeightSeconds * 1e9:0} ns for each weight"),
        .. calibrates
            ? [string.Create(CultureInfo.InvariantCulture, $"measured now: {rates.GramOperations / 1e9:0.0} GFLOP/s summing what layers "
                + $"read; assumed: the model itself at half of that where layers have {MachineRates.HalfSpeed:0} inputs, faster with more")]
            : (string[])[],
        .. rates.Waiting > BusyFrom
            ? [string.Create(CultureInfo.InvariantCulture, $"the machine is busy: the measured work took {rates.Waiting:0.0} times its "
                + $"share of the processors; times are those of a machine that does nothing else")]
            : (string[])[],
        string.Create(CultureInfo.InvariantCulture, $"assumed: {MachineRates.WarmUpSeconds:0} s until the code is optimized; "
            + $"{MachineRates.DiskBytes / 1e6:0} MB/s of disk; {MemoryEstimate.Base / 1e6:0} MB for the process"),
    ];

    // Rounding to nearest has none.
    private static string Operations(MachineRates rates) => double.IsFinite(rates.QuantizeOperations)
        ? string.Create(CultureInfo.InvariantCulture, $"{rates.QuantizeOperations / 1e9:0.0} GFLOP/s by GPTQ's count, and ")
        : "";

    private static IEnumerable<Diagnostic> Warnings(QuantizeOptions options, Requirement memory, Requirement disk)
    {
        if (memory.Needed > memory.Available)
        {
            yield return new Diagnostic("ZQFP4008", DiagnosticSeverity.Warning,
                $"About {Megabytes(memory.Needed)} of memory are needed and {Megabytes(memory.Available.Value)} are there. Use fewer "
                + "--windows, or a larger machine.",
                options.ModelPath);
        }

        if (disk.Needed > disk.Available)
        {
            yield return new Diagnostic("ZQFP4009", DiagnosticSeverity.Warning,
                $"About {Megabytes(disk.Needed)} of disk are needed and {Megabytes(disk.Available.Value)} are free. Free some, or choose "
                + "another --output.",
                options.OutputPath);
        }
    }

    private static string Megabytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:N0} MB");
}
