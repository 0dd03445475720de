namespace Zqfp.Tokenizers;

/// <summary>
/// Reads a regular expression in Oniguruma's syntax, which Hugging Face tokenizers' patterns are written in. What has no exact
/// counterpart in .NET (backreferences, absence, text segments) and what the reference does not read either is refused.
/// </summary>
internal sealed class PatternParser
{
    private readonly PatternCursor _cursor;
    private readonly EscapeReader _escapes;
    private readonly ClassReader _classes;
    private readonly QuantifierReader _quantifiers;
    private readonly CaseFolding _folding = UnicodeSets.Instance.Folding;

    private PatternParser(PatternCursor cursor)
    {
        _cursor = cursor;
        _escapes = new EscapeReader(cursor);
        _classes = new ClassReader(cursor, _escapes);
        _quantifiers = new QuantifierReader(cursor);
    }

    /// <exception cref="PatternException">The pattern is broken or has something that cannot be translated.</exception>
    public static PatternNode Parse(string pattern)
    {
        var cursor = new PatternCursor(pattern);
        PatternNode node = new PatternParser(cursor).ReadAlternation(default);
        return cursor.AtEnd ? node : throw cursor.Refuse("an unmatched ')'");
    }

    private PatternNode ReadAlternation(Options options)
    {
        _cursor.Enter("groups");
        var branches = new List<PatternNode>();
        do
        {
            branches.Add(ReadSequence(options));
        }
        while (_cursor.TryTake("|"));

        _cursor.Leave();
        return branches.Count == 1 ? branches[0] : new PatternNode.Alternation(branches);
    }

    private PatternNode ReadSequence(Options options)
    {
        var parts = new List<PatternNode>();
        while (!_cursor.AtEnd && _cursor.Current is not ('|' or ')'))
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

            parts.Add(_quantifiers.Read(ReadAtom(options)));
        }

        RefuseFoldsAcross(parts);
        return parts.Count == 1 ? parts[0] : new PatternNode.Sequence(parts);
    }

    private bool SkipComment()
    {
        if (char.IsWhiteSpace(_cursor.Current))
        {
            _cursor.Position++;
            return true;
        }

        if (_cursor.Current != '#')
        {
            return false;
        }

        int end = _cursor.Text.IndexOf('\n', _cursor.Position);
        _cursor.Position = end < 0 ? _cursor.Text.Length : end + 1;
        return true;
    }

    /// <summary><c>(?imx-imx)</c> changes the options for the rest, of which an alternation is a part; <c>(?#...)</c> is nothing.</summary>
    private bool TryReadOptions(Options options, out PatternNode? rest)
    {
        rest = null;
        int start = _cursor.Position;
        if (_cursor.TryTake("(?#"))
        {
            int end = _cursor.Text.IndexOf(')', _cursor.Position);
            _cursor.Position = end >= 0 ? end + 1 : throw _cursor.Refuse("a comment without end");
            return true;
        }

        if (!_cursor.TryTake("(?") || !TryReadFlags(options, out Options changed) || !_cursor.TryTake(")"))
        {
            _cursor.Position = start;
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
        int start = _cursor.Position;
        for (; !_cursor.AtEnd; _cursor.Position++)
        {
            switch (_cursor.Current)
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
                    return _cursor.Position > start;
            }
        }

        return false;
    }

    private PatternNode ReadAtom(Options options)
    {
        char c = _cursor.Current;
        switch (c)
        {
            case '(':
                return ReadGroup(options);
            case '[':
                return new PatternNode.Set(_classes.Read(options.IgnoreCase));
            case '\\':
                return ReadEscape(options);
            case '.':
                _cursor.Position++;
                return new PatternNode.Set(options.DotMatchesAll ? CodePointSet.All : CodePointSet.Of('\n').Complement());
            case '^':
                _cursor.Position++;
                return new PatternNode.Anchor(AnchorKind.LineStart);
            case '$':
                _cursor.Position++;
                return new PatternNode.Anchor(AnchorKind.LineEnd);
            case '{' when _quantifiers.TryReadInterval(out _, out _, out _):
            case '*' or '+' or '?':
                throw _cursor.Refuse($"nothing before the quantifier '{c}'");
            default:
                return Literal(_cursor.ReadRune().Value, options);
        }
    }

    private PatternNode.Set Literal(int codePoint, Options options)
    {
        var set = CodePointSet.Of(codePoint);
        if (!options.IgnoreCase)
        {
            return new PatternNode.Set(set);
        }

        return _folding.FoldsToSeveral(set)
            ? throw _cursor.Refuse($"U+{codePoint:X4}, which without case also matches several characters")
            : new PatternNode.Set(_folding.Close(set), codePoint);
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
            if (_folding.IsFoldOfOne(run))
            {
                throw _cursor.Refuse("characters in a row that without case also match a single one, as ss matches ß");
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
        int start = _cursor.Position;
        GroupKind kind = GroupKind.Plain;
        int known = Array.FindIndex(kinds, entry => _cursor.TryTake(entry.Opening));
        if (known >= 0)
        {
            kind = kinds[known].Kind;
        }
        else if (_cursor.TryTake("(?<"))
        {
            int end = _cursor.Text.IndexOf('>', _cursor.Position);
            _cursor.Position = end > _cursor.Position ? end + 1 : throw _cursor.Refuse("a group without a name");
        }
        else if (_cursor.TryTake("(?"))
        {
            if (!TryReadFlags(options, out options) || !_cursor.TryTake(":"))
            {
                throw _cursor.Refuse($"the group '{_cursor.Text[start..Math.Min(_cursor.Text.Length, start + 4)]}'");
            }
        }
        else
        {
            _cursor.Position++;
        }

        PatternNode body = ReadAlternation(options);
        if (!_cursor.TryTake(")"))
        {
            throw _cursor.Refuse("a group without end");
        }

        if (kind is GroupKind.Behind or GroupKind.NotBehind && Commits(body))
        {
            throw _cursor.Refuse("an atomic group or possessive quantifier in a lookbehind");
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

    private PatternNode ReadEscape(Options options)
    {
        int start = _cursor.Position;
        if (_cursor.Position + 1 >= _cursor.Text.Length)
        {
            throw _cursor.Refuse("a backslash at the end");
        }

        char c = _cursor.Next;
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
            _cursor.Position += 2;
            return new PatternNode.Anchor(kind);
        }

        if (c is 'R' or 'N' or 'O')
        {
            _cursor.Position += 2;
            return c switch
            {
                'R' => LineBreak(),
                'N' => new PatternNode.Set(CodePointSet.Of('\n').Complement()),
                _ => new PatternNode.Set(CodePointSet.All),
            };
        }

        if (_escapes.TryReadSet(inClass: false) is { } set)
        {
            return new PatternNode.Set(set);
        }

        _cursor.Position = start;
        return Literal(_escapes.ReadCharacter(inClass: false), options);
    }

    /// <summary><c>\R</c>: carriage return and line feed together, else any character that breaks lines.</summary>
    private static PatternNode.Group LineBreak() => new(GroupKind.Atomic, new PatternNode.Alternation(
    [
        new PatternNode.Sequence([new PatternNode.Set(CodePointSet.Of('\r')), new PatternNode.Set(CodePointSet.Of('\n'))]),
        new PatternNode.Set(CodePointSet.FromRanges([(0xA, 0xD), (0x85, 0x85), (0x2028, 0x2029)])),
    ]));

    private readonly record struct Options(bool IgnoreCase, bool DotMatchesAll, bool Extended);
}
