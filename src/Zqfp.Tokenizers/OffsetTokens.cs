namespace Zqfp.Tokenizers;

/// <summary>The tokens of a text with their offsets in the normalized text.</summary>
/// <param name="Tokens">The tokens in order.</param>
/// <param name="NormalizedText">The normalized text; null where the text itself was encoded.</param>
/// <param name="Length">Characters of what was encoded.</param>
internal sealed record OffsetTokens(IReadOnlyList<WordToken> Tokens, string? NormalizedText, int Length)
{
    /// <summary>How many of the first tokens, at most so many, end with a whole character.</summary>
    public int FirstWhole(int most)
    {
        int count = Math.Min(most, Tokens.Count);
        while (!IsBoundary(count))
        {
            count--;
        }

        return count;
    }

    /// <summary>How many of the last tokens, at most so many, begin with a whole character.</summary>
    public int LastWhole(int most)
    {
        int count = Math.Min(most, Tokens.Count);
        while (!IsBoundary(Tokens.Count - count))
        {
            count--;
        }

        return count;
    }

    /// <summary>Index after what the first tokens stand for: the length where these are all.</summary>
    public int EndOfFirst(int count) => count == Tokens.Count ? Length : count == 0 ? 0 : Tokens[count - 1].End;

    /// <summary>Index of what the last tokens stand for: 0 where these are all.</summary>
    public int StartOfLast(int count) => count == Tokens.Count ? 0 : count == 0 ? Length : Tokens[Tokens.Count - count].Start;

    /// <summary>Whether no character lies on both sides of the place before a token.</summary>
    private bool IsBoundary(int index) => index == 0 || index == Tokens.Count || Tokens[index].Start >= Tokens[index - 1].End;
}
