namespace Zqfp.Evaluation;

/// <summary>How a text source is stored.</summary>
internal enum TextFormat
{
    /// <summary>By extension: <c>.jsonl</c>, <c>.ndjson</c>; <c>.i16</c>, <c>.u16</c>, <c>.bin</c>; <c>.i32</c>, <c>.u32</c>;
    /// <c>.npy</c>; anything else is plain text.</summary>
    Auto,

    /// <summary>UTF-8 text, or UTF-16 and UTF-32 with a byte order mark.</summary>
    PlainText,

    /// <summary>One JSON object a line; the text is in one of its fields.</summary>
    JsonLines,

    /// <summary>Token ids as unsigned 16-bit little-endian integers, without a header.</summary>
    Tokens16,

    /// <summary>Token ids as 32-bit little-endian integers, without a header.</summary>
    Tokens32,

    /// <summary>Token ids as a NumPy array of integers; rows are read one after another.</summary>
    NumPy,
}

/// <summary>Where the tokenizer's beginning-of-sequence token is put.</summary>
internal enum BeginningPolicy
{
    /// <summary>
    /// Where the model's tokenizer puts it of its own accord: before every window, or nowhere. Token ids are taken as they are.
    /// </summary>
    Auto,

    /// <summary>Nowhere: the protocol of perplexity on GPTQ's tables.</summary>
    None,

    /// <summary>Once, before the whole text.</summary>
    Text,

    /// <summary>Before every document.</summary>
    Document,

    /// <summary>Before every window, which then holds one token of the text less.</summary>
    Window,
}

/// <summary>What to read and how to turn it into one stream of token ids.</summary>
internal sealed record TextSourceOptions
{
    /// <summary>A file, or a folder: all files under it in ordinal order of their relative paths, hidden ones left out.</summary>
    public required string Path { get; init; }

    /// <summary>How the file is stored; in a folder, every file.</summary>
    public TextFormat Format { get; init; } = TextFormat.Auto;

    /// <summary>The field of a JSON line that holds the text.</summary>
    public string JsonField { get; init; } = "text";

    /// <summary>
    /// Splits plain text into documents, the marker itself left out. Not needed where the marker is a token of the
    /// tokenizer: the text is then tokenized whole and the marker becomes its id.
    /// </summary>
    public string? DocumentMarker { get; init; }

    /// <summary>
    /// Text put between documents, which are then tokenized as one. Null puts the tokenizer's end-of-sequence token between
    /// documents tokenized one by one, or a blank line where the tokenizer names none.
    /// </summary>
    public string? DocumentSeparator { get; init; }

    /// <summary>
    /// Where the beginning-of-sequence token is put. Pre-tokenized data does not show its documents and refuses
    /// <see cref="BeginningPolicy.Document"/>.
    /// </summary>
    public BeginningPolicy Beginning { get; init; } = BeginningPolicy.None;

    /// <summary>Number of rows of the model's embedding. Ids that are not below it are refused (ZQFP0112); null checks nothing.</summary>
    public int? ModelVocabularySize { get; init; }

    /// <summary>Keeps so many tokens of the beginning; null keeps all.</summary>
    public int? MaxTokens { get; init; }
}
