namespace Zqfp.Tokenizers;

/// <summary>
/// A pre-tokenizer pattern as a hand-written scanner. It finds exactly the matches of its regular expression, which cover
/// the whole text, but in one pass and with \p{L} and \p{N} decided by code point (.NET's own engine decides by UTF-16 unit).
/// </summary>
internal abstract class WordScanner : WordSplitter
{
    /// <summary>Index after the word that begins at <paramref name="start"/>; greater than <paramref name="start"/>.</summary>
    public abstract int EndOfWord(ReadOnlySpan<char> text, int start);

    public sealed override void Split(Piece piece, IPieceSink sink)
    {
        ReadOnlySpan<char> text = piece.Span;
        int start = 0;
        while (start < text.Length)
        {
            int end = EndOfWord(text, start);
            sink.Accept(piece.Slice(piece.Start + start, piece.Start + end));
            start = end;
        }
    }

    /// <summary>
    /// <c>\s+(?!\S)|\s+</c>: all the white space where it ends the text, else all but its last character, which is left for
    /// the word that follows; a single one stands alone.
    /// </summary>
    protected static int EndOfTrailingSpace(ReadOnlySpan<char> text, int start)
    {
        int end = CharClasses.EndOfWhiteSpace(text, start);
        return end == text.Length || end - start == 1 ? end : end - 1;
    }
}

/// <summary>GPT-2's pattern, also OPT's and the default of <c>ByteLevel</c>.</summary>
internal sealed class Gpt2Scanner : WordScanner
{
    public const string Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    public override int EndOfWord(ReadOnlySpan<char> text, int start)
    {
        if (text[start] == '\'' && ContractionLength(text[(start + 1)..]) is > 0 and int letters)
        {
            return start + 1 + letters;
        }

        int body = text[start] == ' ' && start + 1 < text.Length ? start + 1 : start;
        CharClass kind = CharClasses.At(text, body, out int length);
        return kind < CharClass.Space
            ? CharClasses.EndOfRun(text, body + length, kind)
            : EndOfTrailingSpace(text, start);
    }

    private static int ContractionLength(ReadOnlySpan<char> tail)
    {
        if (tail.Length == 0)
        {
            return 0;
        }

        return tail[0] switch
        {
            's' or 't' or 'm' or 'd' => 1,
            'r' or 'v' when tail.Length > 1 && tail[1] == 'e' => 2,
            'l' when tail.Length > 1 && tail[1] == 'l' => 2,
            _ => 0,
        };
    }
}

/// <summary>
/// The pattern of cl100k, LLaMA-3 (numbers in threes) and Qwen2 (numbers one by one): contractions in any case, one leading
/// character that is no letter, number or line break kept with its word, line breaks kept with the punctuation before them.
/// </summary>
/// <param name="maxDigits">Most numbers in one word.</param>
internal sealed class Cl100kScanner(int maxDigits) : WordScanner
{
    public const string ThreeDigitPattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public const string OneDigitPattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public override int EndOfWord(ReadOnlySpan<char> text, int start)
    {
        if (text[start] == '\'' && ContractionLength(text[(start + 1)..]) is > 0 and int letters)
        {
            return start + 1 + letters;
        }

        CharClass kind = CharClasses.At(text, start, out int length);
        int next = start + length;
        if (kind == CharClass.Letter)
        {
            return CharClasses.EndOfRun(text, next, CharClass.Letter);
        }

        if (kind == CharClass.Number)
        {
            return EndOfNumbers(text, next);
        }

        CharClass following = next < text.Length ? CharClasses.At(text, next, out _) : CharClass.LineBreak;
        if (following == CharClass.Letter && kind != CharClass.LineBreak)
        {
            return CharClasses.EndOfRun(text, next, CharClass.Letter);
        }

        if (kind == CharClass.Other || (text[start] == ' ' && following == CharClass.Other))
        {
            int end = CharClasses.EndOfRun(text, next, CharClass.Other);
            return CharClasses.EndOfRun(text, end, CharClass.LineBreak);
        }

        return EndOfWhiteSpace(text, start);
    }

    private int EndOfNumbers(ReadOnlySpan<char> text, int index)
    {
        for (int taken = 1; taken < maxDigits && index < text.Length; taken++)
        {
            if (CharClasses.At(text, index, out int length) != CharClass.Number)
            {
                break;
            }

            index += length;
        }

        return index;
    }

    /// <summary><c>\s*[\r\n]+</c> reaches to the last line break of the run; only a run without one falls to the rest.</summary>
    private static int EndOfWhiteSpace(ReadOnlySpan<char> text, int start)
    {
        int end = CharClasses.EndOfWhiteSpace(text, start);
        int lastBreak = text[start..end].LastIndexOfAny('\r', '\n');
        return lastBreak >= 0 ? start + lastBreak + 1 : EndOfTrailingSpace(text, start);
    }

    private static int ContractionLength(ReadOnlySpan<char> tail)
    {
        if (tail.Length == 0)
        {
            return 0;
        }

        // U+017F (long s) folds to s in the engines the reference implementations use.
        char second = tail.Length > 1 ? (char)(tail[1] | 0x20) : '\0';
        return tail[0] switch
        {
            's' or 'S' or '\u017F' or 't' or 'T' or 'm' or 'M' or 'd' or 'D' => 1,
            'r' or 'R' or 'v' or 'V' when second == 'e' => 2,
            'l' or 'L' when second == 'l' => 2,
            _ => 0,
        };
    }
}
