using System.Diagnostics.CodeAnalysis;

namespace Zqfp.Evaluation;

/// <summary>Which model to evaluate on which text. Windows do not overlap; a shorter tail is dropped.</summary>
internal sealed record EvaluateOptions : MeasureOptions
{
    public EvaluateOptions()
    {
    }

    /// <summary>A text for a model that is measured this way.</summary>
    [SetsRequiredMembers]
    public EvaluateOptions(MeasureOptions measure, string textPath)
        : base(measure) => TextPath = textPath;

    /// <summary>The text, or token ids.</summary>
    public required string TextPath { get; init; }

    /// <summary>Windows at most; 0 for all the text has.</summary>
    public int Windows { get; init; }
}
