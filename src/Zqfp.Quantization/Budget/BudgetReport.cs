namespace Zqfp.Quantization;

/// <summary>What a budget was made of.</summary>
internal sealed record BudgetReport
{
    /// <summary>The budget, such as <c>4.5 bits a weight</c>.</summary>
    public required string Asked { get; init; }

    /// <summary>How many layers got what.</summary>
    public required string Plan { get; init; }

    /// <summary>The file that holds the plan as a recipe.</summary>
    public required string Recipe { get; init; }

    /// <summary>Plans that were quantized.</summary>
    public required int Attempts { get; init; }

    /// <summary>
    /// Increase of the perplexity over the float model's on calibration windows that nothing was fitted to; null where it was not asked
    /// for.
    /// </summary>
    public double? HeldOutIncrease { get; init; }

    /// <summary>The number of those windows.</summary>
    public int HeldOutWindows { get; init; }

    /// <summary>The layers that the budget decided about.</summary>
    public required IReadOnlyList<BudgetedLayer> Layers { get; init; }
}

/// <summary>What a layer got.</summary>
/// <param name="Name">The layer.</param>
/// <param name="Format">Format, group and rank, such as <c>fp4 g256 rank 8</c>, or <c>float</c>.</param>
/// <param name="Bits">Bits stored for a weight.</param>
/// <param name="PredictedLoss">What that was expected to add to the loss, in nats a token.</param>
internal sealed record BudgetedLayer(string Name, string Format, double Bits, double PredictedLoss);
