namespace Zqfp.Tokenizers;

/// <summary>The tokens that mark a sequence.</summary>
internal sealed record SpecialTokens
{
    public int? BeginningOfSentenceId { get; init; }

    public int? EndOfSentenceId { get; init; }

    /// <summary>What the file puts before a text.</summary>
    public IReadOnlyList<int> Before { get; init; } = [];

    /// <summary>What the file puts after a text.</summary>
    public IReadOnlyList<int> After { get; init; } = [];
}
