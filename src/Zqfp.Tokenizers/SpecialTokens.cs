namespace Zqfp.Tokenizers;

/// <summary>The tokens that mark a sequence.</summary>
internal sealed record SpecialTokens
{
    public int? BeginningOfSentenceId { get; init; }

    public int? EndOfSentenceId { get; init; }

    /// <summary>
    /// What begins every sequence unless it is told not to: the one token that the file puts before a text, or the one that begins a
    /// sequence where <c>add_bos_token</c> asks for it; null where there is none.
    /// </summary>
    public int? SequenceBeginningId { get; init; }

    /// <summary>What the file puts before a text.</summary>
    public IReadOnlyList<int> Before { get; init; } = [];

    /// <summary>What the file puts after a text.</summary>
    public IReadOnlyList<int> After { get; init; } = [];
}
