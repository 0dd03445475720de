using System.Globalization;
using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>
/// The first symbols of a word in SentencePiece-style vocabularies: each code point that the vocabulary has, else its UTF-8
/// bytes as byte pieces where the vocabulary has all of these, else unknown.
/// </summary>
/// <param name="ids">Vocabulary by spelling.</param>
internal sealed class CharacterSymbols(Dictionary<string, int> ids)
{
    /// <summary>The symbol of a code point that the vocabulary cannot spell.</summary>
    public const int Unknown = -1;

    /// <summary>What an unknown symbol becomes; null drops it.</summary>
    public int? UnknownId { get; init; }

    /// <summary>Whether unknown symbols in a row become one id.</summary>
    public bool FuseUnknown { get; init; }

    /// <summary>What the last character of a word is spelled with; usually nothing.</summary>
    public string EndOfWordSuffix { get; init; } = string.Empty;

    /// <summary>Id of the piece of each byte, negative where there is none; null without byte fallback.</summary>
    public int[]? BytePieces { get; init; }

    /// <summary>Tokens that are one symbol wherever they stand and merge with nothing; null where there are none.</summary>
    public PrefixMatcher? UserDefined { get; init; }

    /// <summary>The ids of <c>&lt;0x00&gt;</c> to <c>&lt;0xFF&gt;</c>.</summary>
    public static int[] FindBytePieces(IReadOnlyDictionary<string, int> ids)
    {
        var pieces = new int[256];
        for (int value = 0; value < 256; value++)
        {
            pieces[value] = ids.TryGetValue(SpellByte((byte)value), out int id) ? id : Unknown;
        }

        return pieces;
    }

    /// <summary>The byte a piece spells, if it is a byte piece.</summary>
    public static bool TryReadByte(string piece, out byte value)
    {
        value = 0;
        return piece.Length == 6 && piece.StartsWith("<0x", StringComparison.Ordinal) && piece[5] == '>'
            && byte.TryParse(piece.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>Most symbols that a word of so many UTF-16 units makes.</summary>
    public static int MostSymbols(int units) => checked(3 * units);

    /// <summary>Writes the symbols of a word; returns how many.</summary>
    /// <param name="word">The word.</param>
    /// <param name="symbols">Receives the symbols.</param>
    /// <param name="stretches">Receives the part of the word that each stands for; empty where nobody asks.</param>
    public int Write(ReadOnlySpan<char> word, Span<int> symbols, Span<(int Start, int End)> stretches = default)
    {
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        Span<byte> bytes = stackalloc byte[4];
        int count = 0;
        int position = 0;
        while (position < word.Length)
        {
            int before = count;
            ReadOnlySpan<char> rest = word[position..];
            if (UserDefined is not null && UserDefined.TryMatch(rest, out int units, out int token))
            {
                symbols[count++] = token;
            }
            else
            {
                // A surrogate that stands alone decodes to U+FFFD.
                Rune.DecodeFromUtf16(rest, out Rune rune, out units);
                ReadOnlySpan<char> character = rune == Rune.ReplacementChar ? "\uFFFD" : rest[..units];
                bool isLast = EndOfWordSuffix.Length > 0 && position + units == word.Length;
                if (isLast ? ids.TryGetValue(string.Concat(character, EndOfWordSuffix), out int id) : lookup.TryGetValue(character, out id))
                {
                    symbols[count++] = id;
                }
                else if (!TryWriteBytes(bytes[..rune.EncodeToUtf8(bytes)], symbols[count..]))
                {
                    symbols[count++] = Unknown;
                }
                else
                {
                    count += rune.Utf8SequenceLength;
                }
            }

            if (stretches.Length > 0)
            {
                stretches[before..count].Fill((position, position + units));
            }

            position += units;
        }

        return count;
    }

    /// <summary>Appends symbols as ids, unknown ones as the vocabulary wants them.</summary>
    public void AppendIds(ReadOnlySpan<int> symbols, List<int> ids)
    {
        bool afterUnknown = false;
        foreach (int symbol in symbols)
        {
            bool unknown = symbol == Unknown;
            if (!unknown)
            {
                ids.Add(symbol);
            }
            else if (UnknownId is { } id && !(afterUnknown && FuseUnknown))
            {
                ids.Add(id);
            }

            afterUnknown = unknown;
        }
    }

    /// <summary>Appends symbols as tokens, unknown ones as the vocabulary wants them.</summary>
    public void AppendTokens(ReadOnlySpan<int> symbols, ReadOnlySpan<(int Start, int End)> stretches, List<WordToken> tokens)
    {
        bool afterUnknown = false;
        for (int i = 0; i < symbols.Length; i++)
        {
            (int start, int end) = stretches[i];
            bool unknown = symbols[i] == Unknown;
            if (!unknown)
            {
                tokens.Add(new WordToken(symbols[i], start, end));
            }
            else if (UnknownId is { } id && !(afterUnknown && FuseUnknown))
            {
                tokens.Add(new WordToken(id, start, end));
            }
            else if (UnknownId is not null)
            {
                tokens[^1] = tokens[^1] with { End = end };
            }

            afterUnknown = unknown;
        }
    }

    private static string SpellByte(byte value) => string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>");

    private bool TryWriteBytes(ReadOnlySpan<byte> bytes, Span<int> symbols)
    {
        if (BytePieces is null)
        {
            return false;
        }

        for (int i = 0; i < bytes.Length; i++)
        {
            symbols[i] = BytePieces[bytes[i]];
            if (symbols[i] == Unknown)
            {
                return false;
            }
        }

        return true;
    }
}
