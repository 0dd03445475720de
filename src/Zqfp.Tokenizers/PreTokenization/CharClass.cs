using System.Globalization;

namespace Zqfp.Tokenizers;

/// <summary>What the known pre-tokenizer patterns distinguish about a code point.</summary>
internal enum CharClass : byte
{
    /// <summary>Neither letter, number nor white space: punctuation, symbols, marks, controls, unassigned.</summary>
    Other,

    /// <summary><c>\p{L}</c></summary>
    Letter,

    /// <summary><c>\p{N}</c></summary>
    Number,

    /// <summary><c>\s</c> other than carriage return and line feed.</summary>
    Space,

    /// <summary>Carriage return or line feed.</summary>
    LineBreak,
}

/// <summary>Classes of code points, from a table for the basic plane and from the runtime's Unicode data beyond it.</summary>
internal static class CharClasses
{
    private static readonly CharClass[] BasicPlane = Classify();

    /// <summary>Class of the code point at <paramref name="index"/>, and how many chars it takes.</summary>
    public static CharClass At(ReadOnlySpan<char> text, int index, out int length)
    {
        char c = text[index];
        if (char.IsHighSurrogate(c) && index + 1 < text.Length && char.IsLowSurrogate(text[index + 1]))
        {
            length = 2;
            return Of(CharUnicodeInfo.GetUnicodeCategory(char.ConvertToUtf32(c, text[index + 1])));
        }

        length = 1;
        return BasicPlane[c];
    }

    /// <summary>Index after the run of code points of one class that begins at <paramref name="index"/>, which may be empty.</summary>
    public static int EndOfRun(ReadOnlySpan<char> text, int index, CharClass kind)
    {
        while (index < text.Length && At(text, index, out int length) == kind)
        {
            index += length;
        }

        return index;
    }

    /// <summary>Index after the run of white space, line breaks included, that begins at <paramref name="index"/>.</summary>
    public static int EndOfWhiteSpace(ReadOnlySpan<char> text, int index)
    {
        // All white space lies in the basic plane.
        while (index < text.Length && BasicPlane[text[index]] >= CharClass.Space)
        {
            index++;
        }

        return index;
    }

    private static CharClass[] Classify()
    {
        var classes = new CharClass[char.MaxValue + 1];
        for (int c = 0; c < classes.Length; c++)
        {
            classes[c] = (char)c is '\r' or '\n' ? CharClass.LineBreak
                : char.IsWhiteSpace((char)c) ? CharClass.Space
                : Of(CharUnicodeInfo.GetUnicodeCategory((char)c));
        }

        return classes;
    }

    private static CharClass Of(UnicodeCategory category) => category switch
    {
        <= UnicodeCategory.OtherLetter => CharClass.Letter,
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => CharClass.Number,
        _ => CharClass.Other,
    };
}
