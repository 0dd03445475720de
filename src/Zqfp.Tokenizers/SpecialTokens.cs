namespace Zqfp.Tokenizers;

/// <summary>The tokens that mark a sequence.</summary>
internal sealed record SpecialTokens
{
    public int? BeginningOfSentenceId { get; init; }

    public int? EndOfSentenceId { get; init; }
}
