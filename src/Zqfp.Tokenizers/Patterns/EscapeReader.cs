using System.Globalization;
using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>Reads the escapes of a pattern that stand for characters, in a class or outside.</summary>
internal sealed class EscapeReader(PatternCursor cursor)
{
    private readonly UnicodeSets _sets = UnicodeSets.Instance;

    /// <summary><c>\w \s \d \h</c>, their opposites and <c>\p{...}</c>; null, with nothing read, for another escape.</summary>
    public CodePointSet? TryReadSet(bool inClass)
    {
        char c = cursor.Next;
        CodePointSet? set = c switch
        {
            'w' or 'W' => inClass ? _sets.Word : _sets.WordOutsideClass,
            's' or 'S' => _sets.WhiteSpace,
            'd' or 'D' => _sets.Digit,
            'h' or 'H' => _sets.HexDigit,
            _ => null,
        };
        if (set is not null)
        {
            cursor.Position += 2;
            return char.IsUpper(c) ? set.Complement() : set;
        }

        if (c is not ('p' or 'P') || cursor.Position + 2 >= cursor.Text.Length || cursor.Text[cursor.Position + 2] != '{')
        {
            return null;
        }

        int end = cursor.Text.IndexOf('}', cursor.Position);
        string name = end > 0 ? cursor.Text[(cursor.Position + 3)..end] : throw cursor.Refuse("a property without end");
        bool inverted = name.StartsWith('^') != (c == 'P');
        name = name.TrimStart('^');
        CodePointSet property = _sets.Property(name) ?? throw cursor.Refuse($"the property '{name}'");
        if (!inClass && ReferenceEquals(property, _sets.Word))
        {
            property = _sets.WordOutsideClass;
        }

        cursor.Position = end + 1;
        return inverted ? property.Complement() : property;
    }

    /// <summary>An escape that stands for one code point.</summary>
    public int ReadCharacter(bool inClass)
    {
        cursor.Position++;
        if (cursor.AtEnd)
        {
            throw cursor.Refuse("a backslash at the end");
        }

        char c = cursor.Current;
        switch (c)
        {
            case 't' or 'n' or 'r' or 'f' or 'v' or 'a' or 'e':
                cursor.Position++;
                return c switch { 't' => '\t', 'n' => '\n', 'r' => '\r', 'f' => '\f', 'v' => '\v', 'a' => '\a', _ => '\e' };
            case 'b' when inClass:
                cursor.Position++;
                return '\b';
            case 'x' or 'u':
                return ReadHexadecimal(c);
            default:
                return char.IsAsciiLetterOrDigit(c) ? throw cursor.Refuse($"the escape '\\{c}'") : cursor.ReadRune().Value;
        }
    }

    private int ReadHexadecimal(char kind)
    {
        cursor.Position++;
        bool braces = kind == 'x' && cursor.TryTake("{");
        int most = braces ? 8 : kind == 'u' ? 4 : 2;
        int start = cursor.Position;
        while (!cursor.AtEnd && cursor.Position - start < most && char.IsAsciiHexDigit(cursor.Current))
        {
            cursor.Position++;
        }

        bool complete = kind == 'u' ? cursor.Position - start == 4 : cursor.Position > start;
        if (!complete || (braces && !cursor.TryTake("}")))
        {
            throw cursor.Refuse("a code point that is not written out");
        }

        string digits = cursor.Text[start..(braces ? cursor.Position - 1 : cursor.Position)];
        long value = long.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        bool isByte = kind == 'x' && !braces && value > 0x7F;
        return value <= CodePointSet.Last && Rune.IsValid((int)value) && !isByte
            ? (int)value
            : throw cursor.Refuse($"the code point {digits}");
    }
}
