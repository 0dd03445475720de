namespace Zqfp.Evaluation;

/// <summary>How a text becomes tokens, where neither its name nor its tokenizer tells.</summary>
internal sealed record TextReading
{
    /// <summary>The field of a JSON line that holds the text.</summary>
    public string JsonField { get; init; } = "text";

    /// <summary>Splits plain text into documents, see <see cref="TextSourceOptions.DocumentMarker"/>; null for one document.</summary>
    public string? DocumentMarker { get; init; }

    /// <summary>
    /// Text put between documents, see <see cref="TextSourceOptions.DocumentSeparator"/>; null for the tokenizer's own way.
    /// </summary>
    public string? DocumentSeparator { get; init; }

    /// <summary>Where the beginning-of-sequence token is put.</summary>
    public BeginningPolicy Beginning { get; init; } = BeginningPolicy.Auto;
}
