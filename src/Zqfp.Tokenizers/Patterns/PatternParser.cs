using System.Globalization;
using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>
/// Reads a regular expression in Oniguruma's syntax, which Hugging Face tokenizers' patterns are written in. What has no exact
/// counterpart in .NET (backreferences, absence, text segments) and what the reference does not read either is refused.
/// </summary>
internal sealed class PatternParser
{
    private const int DeepestNesting = 200;
    private const int MostRepeats = 100_000;

    private readonly string _pattern;
    private readonly UnicodeSets _sets = UnicodeSets.Instance;
    private int _position;
    private int _depth;

    private PatternParser(string pattern)
    {
        _pattern = pattern;
    }

    private bool AtEnd => _position >= _pattern.Length;

    /// <exception cref="PatternException">The pattern is broken or has something that cannot be translated.</exception>
    public static PatternNode Parse(string pattern)
    {
        var parser = new PatternParser(pattern);
        PatternNode node = parser.ReadAlternation(default);
        return parser.AtEnd ? node : throw parser.Refuse("an unmatched ')'");
    }

    private PatternNode ReadAlternation(Options options)
    {
        if (++_depth > DeepestNesting)
        {
            throw Refuse($"groups nested more than {DeepestNesting} deep");
        }

        var branches = new List<PatternNode>();
        do
        {
            branches.Add(ReadSequence(options));
        }
        while (TryTake("|"));

        _depth--;
        return branches.Count == 1 ? branches[0] : new PatternNode.Alternation(branches);
    }

    private PatternNode ReadSequence(Options options)
    {
        var parts = new List<PatternNode>();
        while (!AtEnd && _pattern[_position] is not ('|' or ')'))
        {
            if (options.Extended && SkipComment())
            {
                continue;
            }

            if (TryReadOptions(options, out PatternNode? rest))
            {
                if (rest is not null)
                {
                    parts.Add(rest);
                }

                continue;
            }

            parts.Add(ReadQuantifiers(ReadAtom(options)));
        }

        RefuseFoldsAcross(parts);
        return parts.Count == 1 ? parts[0] : new PatternNode.Sequence(parts);
    }

    private bool SkipComment()
    {
        if (char.IsWhiteSpace(_pattern[_position]))
        {
            _position++;
            return true;
        }

        if (_pattern[_position] != '#')
        {
            return false;
        }

        int end = _pattern.IndexOf('\n', _position);
        _position = end < 0 ? _pattern.Length : end + 1;
        return true;
    }

    /// <summary><c>(?imx-imx)</c> changes the options for the rest, of which an alternation is a part; <c>(?#...)</c> is nothing.</summary>
    private bool TryReadOptions(Options options, out PatternNode? rest)
    {
        rest = null;
        int start = _position;
        if (TryTake("(?#"))
        {
            int end = _pattern.IndexOf(')', _position);
            _position = end >= 0 ? end + 1 : throw Refuse("a comment without end");
            return true;
        }

        if (!TryTake("(?") || !TryReadFlags(options, out Options changed) || !TryTake(")"))
        {
            _position = start;
            return false;
        }

        // The reference reads the rest as a group of its own: in "a(?i)b|c" the alternatives are b and c.
        rest = ReadAlternation(changed);
        return true;
    }

    private bool TryReadFlags(Options options, out Options changed)
    {
        changed = options;
        bool on = true;
        int start = _position;
        for (; !AtEnd; _position++)
        {
            switch (_pattern[_position])
            {
                case '-':
                    on = false;
                    break;
                case 'i':
                    changed = changed with { IgnoreCase = on };
                    break;
                case 'm':
                    changed = changed with { DotMatchesAll = on };
                    break;
                case 'x':
                    changed = changed with { Extended = on };
                    break;
                default:
                    return _position > start;
            }
        }

        return false;
    }

    private PatternNode ReadAtom(Options options)
    {
        char c = _pattern[_position];
        switch (c)
        {
            case '(':
                return ReadGroup(options);
            case '[':
                return ReadClass(options);
            case '\\':
                return ReadEscape(options);
            case '.':
                _position++;
                return new PatternNode.Set(options.DotMatchesAll ? CodePointSet.All : CodePointSet.Of('\n').Complement());
            case '^':
                _position++;
                return new PatternNode.Anchor(AnchorKind.LineStart);
            case '$':
                _position++;
                return new PatternNode.Anchor(AnchorKind.LineEnd);
            case '{' when TryReadInterval(out _, out _, out _):
            case '*' or '+' or '?':
                throw Refuse($"nothing before the quantifier '{c}'");
            default:
                return Literal(ReadRune().Value, options);
        }
    }

    private PatternNode.Set Literal(int codePoint, Options options)
    {
        var set = CodePointSet.Of(codePoint);
        if (!options.IgnoreCase)
        {
            return new PatternNode.Set(set);
        }

        return _sets.Folding.FoldsToSeveral(set)
            ? throw Refuse($"U+{codePoint:X4}, which without case also matches several characters")
            : new PatternNode.Set(_sets.Folding.Close(set), codePoint);
    }

    /// <summary>Without case, "ss" also matches ß: the reference does so over the borders of plain groups, .NET never does.</summary>
    private void RefuseFoldsAcross(List<PatternNode> parts)
    {
        var run = new List<int>();
        foreach (int literal in Flatten(parts))
        {
            if (literal < 0)
            {
                run.Clear();
                continue;
            }

            run.Add(literal);
            if (_sets.Folding.IsFoldOfOne(run))
            {
                throw Refuse("characters in a row that without case also match a single one, as ss matches ß");
            }
        }

        static IEnumerable<int> Flatten(IEnumerable<PatternNode> nodes) => nodes.SelectMany(node => node switch
        {
            PatternNode.Set set => [set.Literal],
            PatternNode.Sequence sequence => Flatten(sequence.Parts),
            PatternNode.Group { Kind: GroupKind.Plain } group => Flatten([group.Body]),
            _ => (IEnumerable<int>)[-1],
        });
    }

    private PatternNode.Group ReadGroup(Options options)
    {
        (string Opening, GroupKind Kind)[] kinds =
        [
            ("(?:", GroupKind.Plain), ("(?>", GroupKind.Atomic), ("(?=", GroupKind.Ahead), ("(?!", GroupKind.NotAhead),
            ("(?<=", GroupKind.Behind), ("(?<!", GroupKind.NotBehind),
        ];
        int start = _position;
        GroupKind kind = GroupKind.Plain;
        int known = Array.FindIndex(kinds, entry => TryTake(entry.Opening));
        if (known >= 0)
        {
            kind = kinds[known].Kind;
        }
        else if (TryTake("(?<"))
        {
            int end = _pattern.IndexOf('>', _position);
            _position = end > _position ? end + 1 : throw Refuse("a group without a name");
        }
        else if (TryTake("(?"))
        {
            if (!TryReadFlags(options, out options) || !TryTake(":"))
            {
                throw Refuse($"the group '{_pattern[start..Math.Min(_pattern.Length, start + 4)]}'");
            }
        }
        else
        {
            _position++;
        }

        PatternNode body = ReadAlternation(options);
        if (!TryTake(")"))
        {
            throw Refuse("a group without end");
        }

        if (kind is GroupKind.Behind or GroupKind.NotBehind && Commits(body))
        {
            throw Refuse("an atomic group or possessive quantifier in a lookbehind");
        }

        return new PatternNode.Group(kind, body);
    }

    private static bool Commits(PatternNode node) => node switch
    {
        PatternNode.Group group => group.Kind == GroupKind.Atomic || Commits(group.Body),
        PatternNode.Repeat repeat => repeat.Greed == Greed.Possessive || Commits(repeat.Body),
        PatternNode.Sequence sequence => sequence.Parts.Any(Commits),
        PatternNode.Alternation alternation => alternation.Branches.Any(Commits),
        _ => false,
    };

    private PatternNode ReadQuantifiers(PatternNode atom)
    {
        for (int count = 0; TryReadQuantifier(out int min, out int max, out Greed greed); count++)
        {
            if (atom is PatternNode.Anchor || count > 2)
            {
                throw Refuse("a quantifier of what cannot be repeated");
            }

            if (atom is PatternNode.Repeat { Greed: not Greed.Greedy } || (count > 0 && greed != Greed.Greedy))
            {
                throw Refuse("a lazy or possessive quantifier beside another");
            }

            if (NeverGivesBack(atom))
            {
                throw Refuse("a quantifier of an atomic group, which .NET would not keep apart from what is in it");
            }

            atom = new PatternNode.Repeat(atom, min, max, greed);
        }

        return atom;
    }

    private static bool NeverGivesBack(PatternNode node) => node switch
    {
        PatternNode.Group { Kind: GroupKind.Atomic } group => !IsChoiceOfFixed(group.Body),
        PatternNode.Group { Kind: GroupKind.Plain } group => NeverGivesBack(group.Body),
        PatternNode.Repeat repeat => repeat.Greed == Greed.Possessive,
        PatternNode.Sequence { Parts: [PatternNode only] } => NeverGivesBack(only),
        PatternNode.Alternation alternation => alternation.Branches.Any(NeverGivesBack),
        _ => false,
    };

    private static bool IsChoiceOfFixed(PatternNode node) => node switch
    {
        PatternNode.Set => true,
        PatternNode.Sequence sequence => sequence.Parts.All(IsChoiceOfFixed),
        PatternNode.Alternation alternation => alternation.Branches.All(IsChoiceOfFixed),
        _ => false,
    };

    private bool TryReadQuantifier(out int min, out int max, out Greed greed)
    {
        (min, max, greed) = (0, -1, Greed.Greedy);
        if (AtEnd)
        {
            return false;
        }

        switch (_pattern[_position])
        {
            case '*':
                break;
            case '+':
                min = 1;
                break;
            case '?':
                max = 1;
                break;
            case '{':
                return TryReadInterval(out min, out max, out greed);
            default:
                return false;
        }

        _position++;
        greed = TryTake("?") ? Greed.Lazy : TryTake("+") ? Greed.Possessive : Greed.Greedy;
        return true;
    }

    /// <summary>
    /// <c>{n}</c>, <c>{n,}</c>, <c>{n,m}</c>, <c>{,m}</c>; anything else is a literal brace. A plus behind it is a quantifier of its own.
    /// </summary>
    private bool TryReadInterval(out int min, out int max, out Greed greed)
    {
        (min, max, greed) = (0, -1, Greed.Greedy);
        int end = _pattern.IndexOf('}', _position);
        if (end < 0)
        {
            return false;
        }

        string[] sides = _pattern[(_position + 1)..end].Split(',');
        bool open = sides.Length == 2;
        bool hasMin = TryReadNumber(sides[0], out min);
        bool hasMax = TryReadNumber(sides[^1], out max);
        bool valid = open
            ? (hasMin || sides[0].Length == 0) && (hasMax || sides[1].Length == 0) && (hasMin || hasMax)
            : sides.Length == 1 && hasMin;
        if (!valid)
        {
            return false;
        }

        min = hasMin ? min : 0;
        max = hasMax ? max : -1;
        if (Math.Max(min, max) > MostRepeats || (max >= 0 && min > max))
        {
            throw Refuse("an interval that is empty or too great");
        }

        _position = end + 1;
        if (open && TryTake("?"))
        {
            greed = Greed.Lazy;
        }

        return true;
    }

    private static bool TryReadNumber(string text, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    private PatternNode ReadEscape(Options options)
    {
        int start = _position;
        if (_position + 1 >= _pattern.Length)
        {
            throw Refuse("a backslash at the end");
        }

        char c = _pattern[_position + 1];
        AnchorKind? anchor = c switch
        {
            'b' => AnchorKind.WordBoundary,
            'B' => AnchorKind.NoWordBoundary,
            'A' => AnchorKind.TextStart,
            'z' => AnchorKind.TextEnd,
            'Z' => AnchorKind.TextEndOrLastLineBreak,
            _ => null,
        };
        if (anchor is { } kind)
        {
            _position += 2;
            return new PatternNode.Anchor(kind);
        }

        if (c is 'R' or 'N' or 'O')
        {
            _position += 2;
            return c switch
            {
                'R' => LineBreak(),
                'N' => new PatternNode.Set(CodePointSet.Of('\n').Complement()),
                _ => new PatternNode.Set(CodePointSet.All),
            };
        }

        if (TryReadSetEscape(inClass: false) is { } set)
        {
            return new PatternNode.Set(set);
        }

        _position = start;
        return Literal(ReadCharacterEscape(inClass: false), options);
    }

    /// <summary><c>\R</c>: carriage return and line feed together, else any character that breaks lines.</summary>
    private static PatternNode.Group LineBreak() => new(GroupKind.Atomic, new PatternNode.Alternation(
    [
        new PatternNode.Sequence([new PatternNode.Set(CodePointSet.Of('\r')), new PatternNode.Set(CodePointSet.Of('\n'))]),
        new PatternNode.Set(CodePointSet.FromRanges([(0xA, 0xD), (0x85, 0x85), (0x2028, 0x2029)])),
    ]));

    /// <summary><c>\w \s \d \h</c>, their opposites and <c>\p{...}</c>; null, with nothing read, for another escape.</summary>
    private CodePointSet? TryReadSetEscape(bool inClass)
    {
        char c = _position + 1 < _pattern.Length ? _pattern[_position + 1] : '\0';
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
            _position += 2;
            return char.IsUpper(c) ? set.Complement() : set;
        }

        if (c is not ('p' or 'P') || _position + 2 >= _pattern.Length || _pattern[_position + 2] != '{')
        {
            return null;
        }

        int end = _pattern.IndexOf('}', _position);
        string name = end > 0 ? _pattern[(_position + 3)..end] : throw Refuse("a property without end");
        bool inverted = name.StartsWith('^') != (c == 'P');
        name = name.TrimStart('^');
        CodePointSet property = _sets.Property(name) ?? throw Refuse($"the property '{name}'");
        if (!inClass && ReferenceEquals(property, _sets.Word))
        {
            property = _sets.WordOutsideClass;
        }

        _position = end + 1;
        return inverted ? property.Complement() : property;
    }

    /// <summary>An escape that stands for one code point.</summary>
    private int ReadCharacterEscape(bool inClass)
    {
        _position++;
        if (AtEnd)
        {
            throw Refuse("a backslash at the end");
        }

        char c = _pattern[_position];
        switch (c)
        {
            case 't' or 'n' or 'r' or 'f' or 'v' or 'a' or 'e':
                _position++;
                return c switch { 't' => '\t', 'n' => '\n', 'r' => '\r', 'f' => '\f', 'v' => '\v', 'a' => '\a', _ => '\e' };
            case 'b' when inClass:
                _position++;
                return '\b';
            case 'x' or 'u':
                return ReadHexadecimal(c);
            default:
                return char.IsAsciiLetterOrDigit(c) ? throw Refuse($"the escape '\\{c}'") : ReadRune().Value;
        }
    }

    private int ReadHexadecimal(char kind)
    {
        _position++;
        bool braces = kind == 'x' && TryTake("{");
        int most = braces ? 8 : kind == 'u' ? 4 : 2;
        int start = _position;
        while (!AtEnd && _position - start < most && char.IsAsciiHexDigit(_pattern[_position]))
        {
            _position++;
        }

        bool complete = kind == 'u' ? _position - start == 4 : _position > start;
        if (!complete || (braces && !TryTake("}")))
        {
            throw Refuse("a code point that is not written out");
        }

        string digits = _pattern[start..(braces ? _position - 1 : _position)];
        long value = long.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        bool isByte = kind == 'x' && !braces && value > 0x7F;
        return value <= CodePointSet.Last && Rune.IsValid((int)value) && !isByte ? (int)value : throw Refuse($"the code point {digits}");
    }

    private PatternNode.Set ReadClass(Options options)
    {
        _position++;
        bool inverted = TryTake("^");
        CodePointSet members = ReadMembers();
        if (options.IgnoreCase)
        {
            if (!inverted && _sets.Folding.FoldsToSeveral(members))
            {
                throw Refuse("a class with a character that without case also matches several, as ß matches ss");
            }

            members = _sets.Folding.Close(members);
        }

        return new PatternNode.Set(inverted ? members.Complement() : members);
    }

    /// <summary>
    /// The members of a class up to and with its bracket: unions, of which <c>&amp;&amp;</c> intersects what is on its sides.
    /// </summary>
    private CodePointSet ReadMembers()
    {
        if (++_depth > DeepestNesting)
        {
            throw Refuse($"classes nested more than {DeepestNesting} deep");
        }

        CodePointSet? intersection = null;
        var members = new List<CodePointSet>();
        for (bool first = true; ; first = false)
        {
            if (AtEnd)
            {
                throw Refuse("a class without end");
            }

            // A bracket that comes first is a member, if another one ends the class.
            if (_pattern[_position] == ']' && !(first && _pattern.IndexOf(']', _position + 1) >= 0))
            {
                if (first)
                {
                    throw Refuse("an empty class");
                }

                _position++;
                _depth--;
                CodePointSet last = Union(members);
                return intersection?.Intersect(last) ?? last;
            }

            if (TryTake("&&"))
            {
                CodePointSet side = Union(members);
                intersection = intersection?.Intersect(side) ?? side;
                members.Clear();
                continue;
            }

            members.Add(ReadMember());
        }
    }

    private static CodePointSet Union(List<CodePointSet> sets) => CodePointSet.FromRanges(sets.SelectMany(set => set.Ranges));

    private CodePointSet ReadMember()
    {
        if (_pattern[_position] == '[')
        {
            if (TryReadPosix() is { } posix)
            {
                return RefuseRange(posix);
            }

            _position++;
            bool inverted = TryTake("^");
            CodePointSet nested = ReadMembers();
            return RefuseRange(inverted ? nested.Complement() : nested);
        }

        if (_pattern[_position] == '\\' && TryReadSetEscape(inClass: true) is { } set)
        {
            return RefuseRange(set);
        }

        int low = ReadCharacter();
        bool isRange = !AtEnd && _pattern[_position] == '-' && _position + 1 < _pattern.Length && _pattern[_position + 1] != ']';
        if (!isRange)
        {
            return CodePointSet.Of(low);
        }

        _position++;
        if (_pattern[_position] == '[' || string.CompareOrdinal(_pattern, _position, "&&", 0, 2) == 0)
        {
            throw Refuse("a range without an end");
        }

        int high = _pattern[_position] == '\\' && TryReadSetEscape(inClass: true) is not null ? -1 : ReadCharacter();
        CodePointSet range = high >= low ? CodePointSet.Of(low, high) : throw Refuse("a range that ends before it begins");

        // A hyphen after a range is a member.
        return TryTake("-") ? AtEnd ? throw Refuse("a class without end") : range.Union(CodePointSet.Of('-')) : range;
    }

    private CodePointSet RefuseRange(CodePointSet set)
    {
        bool range = _position + 1 < _pattern.Length && _pattern[_position] == '-' && _pattern[_position + 1] != ']';
        return range ? throw Refuse("a range that begins with a class") : set;
    }

    private int ReadCharacter() => _pattern[_position] == '\\' ? ReadCharacterEscape(inClass: true) : ReadRune().Value;

    private CodePointSet? TryReadPosix()
    {
        int start = _position;
        if (!TryTake("[:"))
        {
            return null;
        }

        bool inverted = TryTake("^");
        int end = _pattern.IndexOf(":]", _position, StringComparison.Ordinal);
        if (end < 0)
        {
            _position = start;
            return null;
        }

        string name = _pattern[_position..end];
        CodePointSet set = _sets.Posix(name) ?? throw Refuse($"the bracket '[:{name}:]'");
        _position = end + 2;
        return inverted ? set.Complement() : set;
    }

    private Rune ReadRune()
    {
        Rune.DecodeFromUtf16(_pattern.AsSpan(_position), out Rune rune, out int units);
        _position += units;
        return rune;
    }

    private bool TryTake(string text)
    {
        bool found = string.CompareOrdinal(_pattern, _position, text, 0, text.Length) == 0;
        _position += found ? text.Length : 0;
        return found;
    }

    private PatternException Refuse(string what) => new($"{what} (at index {_position})");

    private readonly record struct Options(bool IgnoreCase, bool DotMatchesAll, bool Extended);
}
