namespace Zqfp.Evaluation;

/// <summary>One document of a source: text, or ids where the file is pre-tokenized.</summary>
/// <param name="File">The file it lies in.</param>
/// <param name="Text">Its text; null for ids.</param>
/// <param name="Ids">Its ids; null for text.</param>
internal sealed record SourceDocument(string File, string? Text, int[]? Ids);
