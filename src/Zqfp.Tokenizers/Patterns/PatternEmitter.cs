using System.Globalization;
using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>Writes a pattern as a .NET regular expression over the letters of its alphabet.</summary>
internal sealed class PatternEmitter
{
    private static readonly CodePointSet LineBreak = CodePointSet.Of('\n');

    private readonly StringBuilder _expression = new();
    private readonly CodePointAlphabet _alphabet;
    private readonly CodePointSet _word = UnicodeSets.Instance.WordOutsideClass;

    private PatternEmitter(CodePointAlphabet alphabet)
    {
        _alphabet = alphabet;
    }

    /// <exception cref="PatternException">The pattern has more distinctions than can be made.</exception>
    public static (string Expression, CodePointAlphabet Alphabet) Emit(PatternNode pattern)
    {
        var sets = new HashSet<CodePointSet>(ReferenceEqualityComparer.Instance);
        var emitter = new PatternEmitter(new CodePointAlphabet(Collect(pattern, sets)));
        emitter.Write(pattern);
        return (emitter._expression.ToString(), emitter._alphabet);
    }

    private static List<CodePointSet> Collect(PatternNode node, HashSet<CodePointSet> sets)
    {
        Visit(node);
        return [.. sets];

        void Visit(PatternNode visited)
        {
            switch (visited)
            {
                case PatternNode.Set set:
                    sets.Add(set.Members);
                    break;
                case PatternNode.Sequence sequence:
                    sequence.Parts.ToList().ForEach(Visit);
                    break;
                case PatternNode.Alternation alternation:
                    alternation.Branches.ToList().ForEach(Visit);
                    break;
                case PatternNode.Repeat repeat:
                    Visit(repeat.Body);
                    break;
                case PatternNode.Group group:
                    Visit(group.Body);
                    break;
                case PatternNode.Anchor { Kind: AnchorKind.WordBoundary or AnchorKind.NoWordBoundary }:
                    sets.Add(UnicodeSets.Instance.WordOutsideClass);
                    break;
                case PatternNode.Anchor:
                    sets.Add(LineBreak);
                    break;
            }
        }
    }

    private void Write(PatternNode node)
    {
        switch (node)
        {
            case PatternNode.Set set:
                WriteSet(set.Members);
                break;
            case PatternNode.Sequence sequence:
                foreach (PatternNode part in sequence.Parts)
                {
                    bool alternates = part is PatternNode.Alternation;
                    _expression.Append(alternates ? "(?:" : string.Empty);
                    Write(part);
                    _expression.Append(alternates ? ")" : string.Empty);
                }

                break;
            case PatternNode.Alternation alternation:
                for (int branch = 0; branch < alternation.Branches.Count; branch++)
                {
                    _expression.Append(branch > 0 ? "|" : string.Empty);
                    Write(alternation.Branches[branch]);
                }

                break;
            case PatternNode.Repeat repeat:
                WriteRepeat(repeat);
                break;
            case PatternNode.Group group:
                _expression.Append(Opening(group.Kind));
                Write(group.Body);
                _expression.Append(')');
                break;
            case PatternNode.Anchor anchor:
                WriteAnchor(anchor.Kind);
                break;
        }
    }

    private void WriteRepeat(PatternNode.Repeat repeat)
    {
        _expression.Append(repeat.Greed == Greed.Possessive ? "(?>" : string.Empty);
        bool single = repeat.Body is PatternNode.Set;
        _expression.Append(single ? string.Empty : "(?:");
        Write(repeat.Body);
        _expression.Append(single ? string.Empty : ")");
        _expression.Append((repeat.Min, repeat.Max) switch
        {
            (0, < 0) => "*",
            (1, < 0) => "+",
            (0, 1) => "?",
            (_, < 0) => string.Create(CultureInfo.InvariantCulture, $"{{{repeat.Min},}}"),
            _ => string.Create(CultureInfo.InvariantCulture, $"{{{repeat.Min},{repeat.Max}}}"),
        });
        _expression.Append(repeat.Greed switch { Greed.Lazy => "?", Greed.Possessive => ")", _ => string.Empty });
    }

    private void WriteAnchor(AnchorKind kind)
    {
        switch (kind)
        {
            case AnchorKind.LineStart:
                // Not after a line break that ends the text.
                _expression.Append(@"(?:\A|(?m:^)(?!\z))");
                break;
            case AnchorKind.LineEnd:
                _expression.Append("(?m:$)");
                break;
            case AnchorKind.TextStart:
                _expression.Append(@"\A");
                break;
            case AnchorKind.TextEnd:
                _expression.Append(@"\z");
                break;
            case AnchorKind.TextEndOrLastLineBreak:
                _expression.Append(@"\Z");
                break;
            default:
                WriteBoundary(kind == AnchorKind.WordBoundary);
                break;
        }
    }

    private void WriteBoundary(bool boundary)
    {
        WriteSides("(?:(?<=", boundary ? "(?!" : "(?=");
        WriteSides("|(?<!", boundary ? "(?=" : "(?!");
        _expression.Append(')');

        void WriteSides(string before, string after)
        {
            _expression.Append(before);
            WriteSet(_word);
            _expression.Append(')').Append(after);
            WriteSet(_word);
            _expression.Append(')');
        }
    }

    private void WriteSet(CodePointSet set)
    {
        IReadOnlyList<char> letters = _alphabet.LettersOf(set);
        if (letters.Count == 0)
        {
            _expression.Append("(?!)");
            return;
        }

        if (letters.Count == 1)
        {
            WriteLetter(letters[0]);
            return;
        }

        _expression.Append('[');
        int start = 0;
        for (int i = 1; i <= letters.Count; i++)
        {
            if (i == letters.Count || letters[i] != letters[i - 1] + 1)
            {
                WriteLetter(letters[start]);
                if (i - start > 1)
                {
                    _expression.Append('-');
                    WriteLetter(letters[i - 1]);
                }

                start = i;
            }
        }

        _expression.Append(']');
    }

    private void WriteLetter(char letter) => _expression.Append(CultureInfo.InvariantCulture, $"\\u{(int)letter:X4}");

    private static string Opening(GroupKind kind) => kind switch
    {
        GroupKind.Atomic => "(?>",
        GroupKind.Ahead => "(?=",
        GroupKind.NotAhead => "(?!",
        GroupKind.Behind => "(?<=",
        GroupKind.NotBehind => "(?<!",
        _ => "(?:",
    };
}
