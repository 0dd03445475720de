using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>A pattern, and how far it is read.</summary>
internal sealed class PatternCursor(string text)
{
    private const int DeepestNesting = 200;

    private int _depth;

    public string Text => text;

    public int Position { get; set; }

    public bool AtEnd => Position >= text.Length;

    /// <summary>The character to read next; there must be one.</summary>
    public char Current => text[Position];

    /// <summary>The character behind that; NUL where there is none.</summary>
    public char Next => Position + 1 < text.Length ? text[Position + 1] : '\0';

    /// <summary>Reads a text, where it is next.</summary>
    public bool TryTake(string expected)
    {
        bool found = string.CompareOrdinal(text, Position, expected, 0, expected.Length) == 0;
        Position += found ? expected.Length : 0;
        return found;
    }

    public Rune ReadRune()
    {
        Rune.DecodeFromUtf16(text.AsSpan(Position), out Rune rune, out int units);
        Position += units;
        return rune;
    }

    /// <summary>Begins something nested, which <see cref="Leave"/> ends.</summary>
    /// <exception cref="PatternException">It is nested too deep.</exception>
    public void Enter(string what)
    {
        if (++_depth > DeepestNesting)
        {
            throw Refuse($"{what} nested more than {DeepestNesting} deep");
        }
    }

    public void Leave() => _depth--;

    public PatternException Refuse(string what) => new($"{what} (at index {Position})");
}
