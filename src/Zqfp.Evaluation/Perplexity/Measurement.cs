namespace Zqfp.Evaluation;

/// <summary>A model on texts and tasks.</summary>
internal sealed record Measurement
{
    /// <summary>Its perplexity on each text.</summary>
    public required IReadOnlyList<MeasuredText> Texts { get; init; }

    /// <summary>The mean of the perplexities, as the tables of papers have it in their last column; null without a text.</summary>
    public double? MeanPerplexity => Texts.Count > 0 ? Texts.Average(text => text.Result.Perplexity) : null;

    /// <summary>Its scores on each task.</summary>
    public required IReadOnlyList<TaskResult> Tasks { get; init; }
}

/// <summary>A model on one text.</summary>
/// <param name="Path">The text.</param>
/// <param name="Result">Its perplexity there.</param>
internal sealed record MeasuredText(string Path, EvaluationResult Result);
