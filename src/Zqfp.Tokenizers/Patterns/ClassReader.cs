namespace Zqfp.Tokenizers;

/// <summary>Reads the classes of a pattern: members, ranges, POSIX brackets, classes in classes, intersections.</summary>
internal sealed class ClassReader(PatternCursor cursor, EscapeReader escapes)
{
    private readonly UnicodeSets _sets = UnicodeSets.Instance;

    /// <summary>The set that a class stands for.</summary>
    public CodePointSet Read(bool ignoreCase)
    {
        cursor.Position++;
        bool inverted = cursor.TryTake("^");
        CodePointSet members = ReadMembers();
        if (ignoreCase)
        {
            if (!inverted && _sets.Folding.FoldsToSeveral(members))
            {
                throw cursor.Refuse("a class with a character that without case also matches several, as ß matches ss");
            }

            members = _sets.Folding.Close(members);
        }

        return inverted ? members.Complement() : members;
    }

    /// <summary>
    /// The members of a class up to and with its bracket: unions, of which <c>&amp;&amp;</c> intersects what is on its sides.
    /// </summary>
    private CodePointSet ReadMembers()
    {
        cursor.Enter("classes");
        CodePointSet? intersection = null;
        var members = new List<CodePointSet>();
        for (bool first = true; ; first = false)
        {
            if (cursor.AtEnd)
            {
                throw cursor.Refuse("a class without end");
            }

            // A bracket that comes first is a member, if another one ends the class.
            if (cursor.Current == ']' && !(first && cursor.Text.IndexOf(']', cursor.Position + 1) >= 0))
            {
                if (first)
                {
                    throw cursor.Refuse("an empty class");
                }

                cursor.Position++;
                cursor.Leave();
                CodePointSet last = Union(members);
                return intersection?.Intersect(last) ?? last;
            }

            if (cursor.TryTake("&&"))
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
        if (cursor.Current == '[')
        {
            if (TryReadPosix() is { } posix)
            {
                return RefuseRange(posix);
            }

            cursor.Position++;
            bool inverted = cursor.TryTake("^");
            CodePointSet nested = ReadMembers();
            return RefuseRange(inverted ? nested.Complement() : nested);
        }

        if (cursor.Current == '\\' && escapes.TryReadSet(inClass: true) is { } set)
        {
            return RefuseRange(set);
        }

        int low = ReadCharacter();
        if (!IsRange)
        {
            return CodePointSet.Of(low);
        }

        cursor.Position++;
        if (cursor.Current == '[' || string.CompareOrdinal(cursor.Text, cursor.Position, "&&", 0, 2) == 0)
        {
            throw cursor.Refuse("a range without an end");
        }

        int high = cursor.Current == '\\' && escapes.TryReadSet(inClass: true) is not null ? -1 : ReadCharacter();
        CodePointSet range = high >= low ? CodePointSet.Of(low, high) : throw cursor.Refuse("a range that ends before it begins");

        // A hyphen after a range is a member.
        return cursor.TryTake("-") ? cursor.AtEnd ? throw cursor.Refuse("a class without end") : range.Union(CodePointSet.Of('-')) : range;
    }

    /// <summary>Whether a hyphen is next that is no member: one that a bracket follows is.</summary>
    private bool IsRange =>
        cursor.Position + 1 < cursor.Text.Length && cursor.Current == '-' && cursor.Text[cursor.Position + 1] != ']';

    private CodePointSet RefuseRange(CodePointSet set) => IsRange ? throw cursor.Refuse("a range that begins with a class") : set;

    private int ReadCharacter() => cursor.Current == '\\' ? escapes.ReadCharacter(inClass: true) : cursor.ReadRune().Value;

    private CodePointSet? TryReadPosix()
    {
        int start = cursor.Position;
        if (!cursor.TryTake("[:"))
        {
            return null;
        }

        bool inverted = cursor.TryTake("^");
        int end = cursor.Text.IndexOf(":]", cursor.Position, StringComparison.Ordinal);
        if (end < 0)
        {
            cursor.Position = start;
            return null;
        }

        string name = cursor.Text[cursor.Position..end];
        CodePointSet set = _sets.Posix(name) ?? throw cursor.Refuse($"the bracket '[:{name}:]'");
        cursor.Position = end + 2;
        return inverted ? set.Complement() : set;
    }
}
