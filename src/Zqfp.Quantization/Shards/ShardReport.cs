namespace Zqfp.Quantization;

/// <summary>What one shard did.</summary>
internal sealed record ShardReport
{
    /// <summary>The float model.</summary>
    public required string Model { get; init; }

    /// <summary>Which shard, such as <c>2/4</c>.</summary>
    public required string Shard { get; init; }

    /// <summary>Where its layers are.</summary>
    public required string WorkFolder { get; init; }

    /// <summary>How they were quantized, on one line.</summary>
    public required string Recipe { get; init; }

    /// <summary>Its layers, in the order they run.</summary>
    public required IReadOnlyList<string> Layers { get; init; }

    /// <summary>How many of them an earlier run had left.</summary>
    public required int Kept { get; init; }

    /// <summary>Calibration windows used.</summary>
    public required int CalibrationWindows { get; init; }

    /// <summary>Seconds spent by phase, in the order of the phases.</summary>
    public required IReadOnlyDictionary<string, double> Seconds { get; init; }

    /// <summary>Warnings given on the way.</summary>
    public required IReadOnlyList<Diagnostic> Warnings { get; init; }
}
