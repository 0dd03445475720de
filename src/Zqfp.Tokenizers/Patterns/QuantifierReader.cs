using System.Globalization;

namespace Zqfp.Tokenizers;

/// <summary>Reads the quantifiers of a pattern, and refuses those that .NET reads otherwise.</summary>
internal sealed class QuantifierReader(PatternCursor cursor)
{
    private const int MostRepeats = 100_000;

    /// <summary>Reads the quantifiers behind an atom.</summary>
    public PatternNode Read(PatternNode atom)
    {
        for (int count = 0; TryReadOne(out int min, out int max, out Greed greed); count++)
        {
            if (atom is PatternNode.Anchor || count > 2)
            {
                throw cursor.Refuse("a quantifier of what cannot be repeated");
            }

            if (atom is PatternNode.Repeat { Greed: not Greed.Greedy } || (count > 0 && greed != Greed.Greedy))
            {
                throw cursor.Refuse("a lazy or possessive quantifier beside another");
            }

            if (NeverGivesBack(atom))
            {
                throw cursor.Refuse("a quantifier of an atomic group, which .NET would not keep apart from what is in it");
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

    private bool TryReadOne(out int min, out int max, out Greed greed)
    {
        (min, max, greed) = (0, -1, Greed.Greedy);
        if (cursor.AtEnd)
        {
            return false;
        }

        switch (cursor.Current)
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

        cursor.Position++;
        greed = cursor.TryTake("?") ? Greed.Lazy : cursor.TryTake("+") ? Greed.Possessive : Greed.Greedy;
        return true;
    }

    /// <summary>
    /// <c>{n}</c>, <c>{n,}</c>, <c>{n,m}</c>, <c>{,m}</c>; anything else is a literal brace. A plus behind it is a quantifier of its own.
    /// </summary>
    public bool TryReadInterval(out int min, out int max, out Greed greed)
    {
        (min, max, greed) = (0, -1, Greed.Greedy);
        int end = cursor.Text.IndexOf('}', cursor.Position);
        if (end < 0)
        {
            return false;
        }

        string[] sides = cursor.Text[(cursor.Position + 1)..end].Split(',');
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
            throw cursor.Refuse("an interval that is empty or too great");
        }

        cursor.Position = end + 1;
        if (open && cursor.TryTake("?"))
        {
            greed = Greed.Lazy;
        }

        return true;
    }

    private static bool TryReadNumber(string text, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
