using System.Globalization;
using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>A token recognized as a whole in the text, whatever the pre-tokenizer and the model would make of it.</summary>
internal sealed record AddedToken(int Id, string Content)
{
    /// <summary>Only where no word character touches it.</summary>
    public bool SingleWord { get; init; }

    /// <summary>Swallows the white space before it.</summary>
    public bool LeftStrip { get; init; }

    /// <summary>Swallows the white space after it.</summary>
    public bool RightStrip { get; init; }

    /// <summary>Looked for in the normalized text instead of the raw one.</summary>
    public bool Normalized { get; init; }

    /// <summary>What is looked for: the content, normalized as the text is that it is looked for in.</summary>
    public string Pattern { get; init; } = Content;
}

/// <summary>An added token found at [Start, End), stripped white space included.</summary>
internal readonly record struct AddedTokenMatch(int Id, int Start, int End);

/// <summary>Finds added tokens: leftmost first, and of those that begin at one place the longest.</summary>
internal sealed class AddedTokens
{
    private readonly AddedToken[] _tokens;
    private readonly PrefixMatcher _matcher;

    public AddedTokens(IEnumerable<AddedToken> tokens)
    {
        _tokens = [.. tokens];
        _matcher = new PrefixMatcher(_tokens.Select((token, index) => (token.Pattern, index)));
    }

    public bool TryFind(string text, int from, out AddedTokenMatch match) => TryFind(text, from, text.Length, out match);

    /// <summary>The first added token in [from, end). White space it strips never reaches before <paramref name="from"/>.</summary>
    public bool TryFind(string text, int from, int end, out AddedTokenMatch match)
    {
        match = default;
        if (_matcher.IsEmpty)
        {
            return false;
        }

        int position = from;
        while (position < end)
        {
            int offset = _matcher.IndexOfBeginning(text.AsSpan(position, end - position));
            if (offset < 0)
            {
                return false;
            }

            position += offset;
            if (_matcher.TryMatch(text.AsSpan(position, end - position), out int length, out int index))
            {
                AddedToken token = _tokens[index];
                int stop = position + length;
                if (!token.SingleWord || StandsAlone(text.AsSpan(0, end), position, stop))
                {
                    match = Strip(text.AsSpan(0, end), token, from, position, stop);
                    return true;
                }

                // The reference matcher resumes after the match it dropped.
                position = stop;
            }
            else
            {
                position++;
            }
        }

        return false;
    }

    private static AddedTokenMatch Strip(ReadOnlySpan<char> text, AddedToken token, int from, int start, int end)
    {
        while (token.LeftStrip && start > from && char.IsWhiteSpace(text[start - 1]))
        {
            start--;
        }

        while (token.RightStrip && end < text.Length && char.IsWhiteSpace(text[end]))
        {
            end++;
        }

        return new AddedTokenMatch(token.Id, start, end);
    }

    private static bool StandsAlone(ReadOnlySpan<char> text, int start, int end)
    {
        Rune.DecodeLastFromUtf16(text[..start], out Rune before, out _);
        Rune.DecodeFromUtf16(text[end..], out Rune after, out _);
        return (start == 0 || !IsWordCharacter(before)) && (end == text.Length || !IsWordCharacter(after));
    }

    private static bool IsWordCharacter(Rune rune) => Rune.GetUnicodeCategory(rune)
        is <= UnicodeCategory.DecimalDigitNumber
        or UnicodeCategory.LetterNumber
        or UnicodeCategory.ConnectorPunctuation;
}
