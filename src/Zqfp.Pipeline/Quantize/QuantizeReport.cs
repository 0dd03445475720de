using Zqfp.Pipeline.Diagnostics;

namespace Zqfp.Pipeline.Quantize;

/// <summary>What was done to one layer.</summary>
/// <param name="Name">The layer.</param>
/// <param name="Rows">N, outputs.</param>
/// <param name="Columns">K, inputs.</param>
/// <param name="Rank">Rank of its low-rank branch, 0 for none.</param>
/// <param name="BitsPerWeight">Bits stored for each of its weights: codes, scales, exponents and factors.</param>
/// <param name="OutputError">Squared error of the layer's output, summed over outputs, mean over the calibration tokens; null without calibration.</param>
public sealed record LayerReport(string Name, int Rows, int Columns, int Rank, double BitsPerWeight, double? OutputError);

/// <summary>What quantizing a model gave.</summary>
public sealed record QuantizeReport
{
    /// <summary>The float model.</summary>
    public required string Model { get; init; }

    /// <summary>The quantized model, in the first profile.</summary>
    public required string Output { get; init; }

    /// <summary>The quantized model in every profile, the first included.</summary>
    public required IReadOnlyList<string> Outputs { get; init; }

    /// <summary>Formats and method in a few words, such as <c>FP4 E2M1 g256 M2 + LoRC 8, FP8 E4M3 activations</c>.</summary>
    public required string Recipe { get; init; }

    /// <summary>The quantized layers in the order they run.</summary>
    public required IReadOnlyList<LayerReport> Layers { get; init; }

    /// <summary>Bits stored for each quantized weight, over all layers.</summary>
    public required double BitsPerWeight { get; init; }

    /// <summary>Bytes of the float model's files.</summary>
    public required long OriginalBytes { get; init; }

    /// <summary>Bytes of the quantized model's files, in the first profile.</summary>
    public required long QuantizedBytes { get; init; }

    /// <summary>Calibration windows used.</summary>
    public required int CalibrationWindows { get; init; }

    /// <summary>Seconds spent by phase, in the order of the phases.</summary>
    public required IReadOnlyDictionary<string, double> Seconds { get; init; }

    /// <summary>Warnings given on the way.</summary>
    public required IReadOnlyList<Diagnostic> Warnings { get; init; }
}
