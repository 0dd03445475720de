using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>
/// SentencePiece's normalizer: the rules of the model (NFKC with its additions, or none), then its treatment of spaces.
/// User-defined pieces pass untouched.
/// </summary>
internal sealed class SentencePieceNormalizer(CharsMap? rules, PrefixMatcher? userDefined) : TextNormalizer
{
    private const char SpaceMark = '\u2581';

    /// <summary>Whether a space is put before the text.</summary>
    public required bool AddDummyPrefix { get; init; }

    /// <summary>Whether the dummy space goes behind the text instead.</summary>
    public required bool WhitespaceIsSuffix { get; init; }

    /// <summary>Whether spaces at the ends are dropped and runs of them become one.</summary>
    public required bool RemoveExtraWhitespaces { get; init; }

    /// <summary>Whether spaces become U+2581.</summary>
    public required bool EscapeWhitespaces { get; init; }

    protected override string Rewrite(string text)
    {
        char space = EscapeWhitespaces ? SpaceMark : ' ';
        int start = RemoveExtraWhitespaces ? SkipLeadingSpaces(text) : 0;
        if (start == text.Length)
        {
            return string.Empty;
        }

        var normalized = new StringBuilder(text.Length + 16);
        if (AddDummyPrefix && !WhitespaceIsSuffix)
        {
            normalized.Append(space);
        }

        bool afterSpace = RemoveExtraWhitespaces;
        while (start < text.Length)
        {
            ReadOnlySpan<char> part = Next(text.AsSpan(start), out int length);
            start += length;
            if (afterSpace)
            {
                part = part.TrimStart(' ');
            }

            if (part.Length > 0)
            {
                Append(normalized, part);
                afterSpace = RemoveExtraWhitespaces && part[^1] == ' ';
            }
        }

        TrimEnd(normalized, space);
        if (AddDummyPrefix && WhitespaceIsSuffix)
        {
            normalized.Append(space);
        }

        return normalized.ToString();
    }

    private void Append(StringBuilder normalized, ReadOnlySpan<char> part)
    {
        if (!EscapeWhitespaces)
        {
            normalized.Append(part);
            return;
        }

        foreach (char c in part)
        {
            normalized.Append(c == ' ' ? SpaceMark : c);
        }
    }

    private void TrimEnd(StringBuilder normalized, char space)
    {
        while (RemoveExtraWhitespaces && normalized.Length > 0 && normalized[^1] == space)
        {
            normalized.Length--;
        }
    }

    private int SkipLeadingSpaces(string text)
    {
        int start = 0;
        while (start < text.Length && Next(text.AsSpan(start), out int length) is " ")
        {
            start += length;
        }

        return start;
    }

    /// <summary>What the beginning of a text becomes, and how much of it that covers.</summary>
    private ReadOnlySpan<char> Next(ReadOnlySpan<char> text, out int length)
    {
        if (userDefined is not null && userDefined.TryMatch(text, out length, out _))
        {
            return text[..length];
        }

        if (rules is not null && rules.TryMatch(text, out length, out string? replacement))
        {
            return replacement;
        }

        Rune.DecodeFromUtf16(text, out Rune rune, out length);
        return rune == Rune.ReplacementChar ? "\uFFFD" : text[..length];
    }
}
