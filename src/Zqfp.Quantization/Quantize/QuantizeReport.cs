namespace Zqfp.Quantization;

/// <summary>What was done to one layer.</summary>
/// <param name="Name">The layer.</param>
/// <param name="Rows">N, outputs.</param>
/// <param name="Columns">K, inputs.</param>
/// <param name="Rank">Rank of its low-rank branch, 0 for none.</param>
/// <param name="BitsPerWeight">Bits stored for each of its weights: codes, scales, exponents and factors.</param>
/// <param name="OutputError">
/// Squared error of the layer's output, summed over outputs, mean over the calibration tokens; null without calibration.
/// </param>
internal sealed record LayerReport(string Name, int Rows, int Columns, int Rank, double BitsPerWeight, double? OutputError)
{
    /// <summary>The module it was in PyTorch, where the exporter wrote that down.</summary>
    public string? Module { get; init; }

    /// <summary>
    /// The layer whose quantized weight it reads too; null where it has its own. Such a layer is not measured and stores nothing.
    /// </summary>
    public string? SharesWeightOf { get; init; }

    /// <summary>Bytes of the weight it had. 0 in older results, which do not tell.</summary>
    public long FloatBytes { get; init; }

    /// <summary>Bytes of what replaces the weight; null in older results.</summary>
    public LayerBytes? Bytes { get; init; }

    /// <summary>Inputs of a block that are rotated before they are rounded; 0 for none.</summary>
    public int Rotation { get; init; }

    /// <summary>
    /// How strongly its weights were held to the float ones while they were moved to the float target; null where they were not moved.
    /// </summary>
    public double? Ridge { get; init; }

    /// <summary>
    /// Calibration tokens that a router sent it, of an expert; null of a layer that every token goes through, and in older results.
    /// </summary>
    public long? Tokens { get; init; }

    /// <summary>
    /// What its input ranged over in calibration; null without calibration, where the layer shares a weight, and in older results.
    /// </summary>
    public ActivationRange? Activations { get; init; }
}

/// <summary>Bytes of a quantized weight.</summary>
/// <param name="Codes">Its codes.</param>
/// <param name="Scales">Scales and exponents.</param>
/// <param name="Correction">The low-rank factors; 0 for none.</param>
internal sealed record LayerBytes(long Codes, long Scales, long Correction);

/// <summary>What was done to an embedding.</summary>
/// <param name="Name">Its node.</param>
/// <param name="Rows">Tokens it has rows for.</param>
/// <param name="Columns">The length of a row.</param>
/// <param name="FloatBytes">Bytes of the table it had.</param>
/// <param name="Bytes">Bytes of what replaces it, without codes that the head has too.</param>
/// <param name="SharesWeightOf">The head that has its codes, or null.</param>
internal sealed record EmbeddingReport(string Name, int Rows, int Columns, long FloatBytes, long Bytes, string? SharesWeightOf);

/// <summary>What quantizing a model gave.</summary>
internal sealed record QuantizeReport
{
    /// <summary>The float model.</summary>
    public required string Model { get; init; }

    /// <summary>The quantized model, in the first profile.</summary>
    public required string Output { get; init; }

    /// <summary>The quantized model in every profile, the first included.</summary>
    public required IReadOnlyList<string> Outputs { get; init; }

    /// <summary>Formats and method in a few words, such as <c>FP4 E2M1 g256 M2 + LoRC 8, FP8 E4M3 activations</c>.</summary>
    public required string Recipe { get; init; }

    /// <summary>The options by their names, those of the command line where it has them; empty in older results.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();

    /// <summary>The quantized layers in the order they run.</summary>
    public required IReadOnlyList<LayerReport> Layers { get; init; }

    /// <summary>The budget and its plan; null where there was none.</summary>
    public BudgetReport? Budget { get; init; }

    /// <summary>The embeddings that are stored as FP8; empty in older results.</summary>
    public IReadOnlyList<EmbeddingReport> Embeddings { get; init; } = [];

    /// <summary>How many of the model's linear weights are quantized, and why the others are not; null in older results.</summary>
    public Coverage? Coverage { get; init; }

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
