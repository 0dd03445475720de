namespace Zqfp.Quantization;

/// <summary>An amount that a run needs, and what there is.</summary>
/// <param name="Needed">Bytes needed, estimated.</param>
/// <param name="Available">Bytes there are, or null where the system does not tell.</param>
internal sealed record Requirement(long Needed, long? Available);

/// <summary>Seconds of a run, estimated.</summary>
/// <param name="Calibrate">Running the calibration windows through the model's slices, and summing what layers read.</param>
/// <param name="Quantize">Choosing codes, scales and low-rank factors.</param>
/// <param name="Write">Writing the model.</param>
internal sealed record PlannedSeconds(double Calibrate, double Quantize, double Write)
{
    /// <summary>All of it.</summary>
    public double Total => Calibrate + Quantize + Write;
}

/// <summary>What quantizing a model would do and need.</summary>
internal sealed record QuantizePlan
{
    /// <summary>The model's layers, and what would become of each.</summary>
    public required InspectReport Model { get; init; }

    /// <summary>What is known of the budget before anything is measured; null where there is none.</summary>
    public string? Budget { get; init; }

    /// <summary>Where the quantized model would go.</summary>
    public required string Output { get; init; }

    /// <summary>Bits stored for each quantized weight.</summary>
    public required double BitsPerWeight { get; init; }

    /// <summary>Bytes of the quantized model's files, without their structure's few kilobytes.</summary>
    public required long OutputBytes { get; init; }

    /// <summary>Calibration windows; 0 where none are needed.</summary>
    public required int CalibrationWindows { get; init; }

    /// <summary>Whether the number of windows was assumed, because no text was named.</summary>
    public required bool WindowsAreAssumed { get; init; }

    /// <summary>Tokens in a window.</summary>
    public required int Window { get; init; }

    /// <summary>Stages: groups of layers that read the same value.</summary>
    public required int Stages { get; init; }

    /// <summary>Memory at the peak, without the mapped weights, which the system may drop.</summary>
    public required Requirement Memory { get; init; }

    /// <summary>Disk where the output goes: the model and, where one is named, the work folder.</summary>
    public required Requirement Disk { get; init; }

    /// <summary>Time.</summary>
    public required PlannedSeconds Seconds { get; init; }

    /// <summary>What each shard needs, the merge last; none where no number of shards is given.</summary>
    public IReadOnlyList<PlannedShard> Shards { get; init; } = [];

    /// <summary>What the estimates rest on: rates measured on this machine just now, and constants.</summary>
    public required IReadOnlyList<string> Basis { get; init; }

    /// <summary>What does not fit.</summary>
    public required IReadOnlyList<Diagnostic> Warnings { get; init; }
}
