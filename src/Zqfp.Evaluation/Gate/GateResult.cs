using System.Text.Json.Serialization;

namespace Zqfp.Evaluation;

/// <summary>What the gate found.</summary>
internal sealed record GateResult
{
    /// <summary>One line: model, format, layers, bits per weight, sizes, perplexities, the increase and its limit.</summary>
    public required string Summary { get; init; }

    /// <summary>The float model's evaluation; null where no text was gated.</summary>
    public required EvaluationResult? Float { get; init; }

    /// <summary>The quantized model's evaluation, over the same tokens.</summary>
    public required EvaluationResult? Quantized { get; init; }

    /// <summary>The one against the other.</summary>
    public required Comparison? Comparison { get; init; }

    /// <summary>The three together; null where no text was gated.</summary>
    [JsonIgnore]
    public GatedText? Text => Float is not null && Quantized is not null && Comparison is not null
        ? new GatedText(Float, Quantized, Comparison)
        : null;

    /// <summary>The models' accuracies on each task.</summary>
    public IReadOnlyList<TaskComparison> Tasks { get; init; } = [];

    /// <summary>The quantized model against the baseline's result; null without a baseline, and when it was recorded anew.</summary>
    public required Comparison? Regression { get; init; }

    /// <summary>Increase of perplexity as a fraction of the float model's; null where no text was gated.</summary>
    public double? PerplexityIncrease => Comparison?.PerplexityIncrease;

    /// <summary>Why the gate failed, or null when it passed.</summary>
    public required Diagnostic? Failure { get; init; }

    /// <summary>What is above its limit, but within the noise of the text. It was given to the observer.</summary>
    public required IReadOnlyList<Diagnostic> Warnings { get; init; }

    /// <summary>The limit of <see cref="PerplexityIncrease"/>, as a fraction; null without one, and in older results.</summary>
    public double? MaxPerplexityIncrease { get; init; }

    /// <summary>Whether every limit holds.</summary>
    public bool Passed => Failure is null;
}

/// <summary>Both models on the gate's text.</summary>
/// <param name="Float">The float model's evaluation.</param>
/// <param name="Quantized">The quantized model's.</param>
/// <param name="Comparison">The one against the other.</param>
internal sealed record GatedText(EvaluationResult Float, EvaluationResult Quantized, Comparison Comparison);
