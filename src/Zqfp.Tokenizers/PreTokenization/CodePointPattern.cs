using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Zqfp.Tokenizers;

/// <summary>
/// A regular expression or literal that sees code points. .NET's engine sees UTF-16 units, to which a letter beyond the basic
/// plane is two surrogates and no \p{L}; so before it searches, each such code point is replaced by one character of the
/// basic plane with the same general category, and the matches are mapped back.
/// </summary>
internal sealed class CodePointPattern
{
    // Generous for a gigabyte, short for an expression that backtracks without end.
    private static readonly TimeSpan SearchLimit = TimeSpan.FromMinutes(5);

    private readonly Regex _expression;

    private CodePointPattern(Regex expression)
    {
        _expression = expression;
    }

    /// <exception cref="ArgumentException">.NET does not read the expression.</exception>
    public static CodePointPattern FromRegex(string expression) =>
        new(new Regex(PossessiveQuantifiers.ToAtomicGroups(expression), RegexOptions.CultureInvariant | RegexOptions.Compiled, SearchLimit));

    public static CodePointPattern FromLiteral(string literal) =>
        new(new Regex(Regex.Escape(literal), RegexOptions.CultureInvariant, SearchLimit));

    /// <summary>The matches as (start, length), in UTF-16 units of <paramref name="text"/>, in order.</summary>
    /// <exception cref="ZqfpException">ZQFP0105: the expression backtracks without end on this text.</exception>
    public List<(int Start, int Length)> Matches(ReadOnlySpan<char> text)
    {
        var matches = new List<(int Start, int Length)>();
        int[]? offsets = null;
        ReadOnlySpan<char> searched = text;
        if (text.IndexOfAnyInRange('\uD800', '\uDFFF') >= 0)
        {
            searched = ReplaceSupplementary(text, out offsets);
        }

        try
        {
            foreach (ValueMatch match in _expression.EnumerateMatches(searched))
            {
                int start = offsets is null ? match.Index : offsets[match.Index];
                int end = offsets is null ? match.Index + match.Length : offsets[match.Index + match.Length];
                matches.Add((start, end - start));
            }
        }
        catch (RegexMatchTimeoutException exception)
        {
            throw new ZqfpException(TextCodes.PreTokenizerUnsupported,
                $"The pre-tokenizer's pattern '{_expression}' does not come to an end on this text. Give pre-tokenized data instead.", inner: exception);
        }

        return matches;
    }

    /// <summary>The stand-in of a general category: a character of the basic plane that patterns do not name.</summary>
    internal static char StandIn(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => '\u10A0',
        UnicodeCategory.LowercaseLetter => '\u0561',
        UnicodeCategory.TitlecaseLetter => '\u1F88',
        UnicodeCategory.ModifierLetter => '\u07F4',
        UnicodeCategory.OtherLetter => '\u07CA',
        UnicodeCategory.NonSpacingMark => '\u0816',
        UnicodeCategory.SpacingCombiningMark => '\u0903',
        UnicodeCategory.EnclosingMark => '\u0488',
        UnicodeCategory.DecimalDigitNumber => '\u07C0',
        UnicodeCategory.LetterNumber => '\u2180',
        UnicodeCategory.OtherNumber => '\u2460',
        UnicodeCategory.ConnectorPunctuation => '\u203F',
        UnicodeCategory.DashPunctuation => '\u2E3A',
        UnicodeCategory.OpenPunctuation => '\u2E22',
        UnicodeCategory.ClosePunctuation => '\u2E23',
        UnicodeCategory.InitialQuotePunctuation => '\u2E02',
        UnicodeCategory.FinalQuotePunctuation => '\u2E03',
        UnicodeCategory.OtherPunctuation => '\u2E0E',
        UnicodeCategory.MathSymbol => '\u2A00',
        UnicodeCategory.CurrencySymbol => '\u20A0',
        UnicodeCategory.ModifierSymbol => '\u02C2',
        UnicodeCategory.OtherSymbol => '\u2800',
        UnicodeCategory.Format => '\u2060',
        UnicodeCategory.PrivateUse => '\uE000',
        _ => '\u0378',
    };

    /// <summary>One character for each code point, and the index in the text at which each begins, with the text's end.</summary>
    private static ReadOnlySpan<char> ReplaceSupplementary(ReadOnlySpan<char> text, out int[] offsets)
    {
        var replaced = new char[text.Length];
        offsets = new int[text.Length + 1];
        int count = 0;
        int position = 0;
        while (position < text.Length)
        {
            // A surrogate that stands alone decodes to U+FFFD, which is also what the model will see.
            Rune.DecodeFromUtf16(text[position..], out Rune rune, out int units);
            offsets[count] = position;
            replaced[count++] = rune.IsBmp ? (char)rune.Value : StandIn(Rune.GetUnicodeCategory(rune));
            position += units;
        }

        offsets[count] = text.Length;
        return replaced.AsSpan(0, count);
    }
}
