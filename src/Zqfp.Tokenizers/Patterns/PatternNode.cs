namespace Zqfp.Tokenizers;

/// <summary>A part of a pattern.</summary>
internal abstract record PatternNode
{
    /// <summary>One code point of a set.</summary>
    /// <param name="Members">The set, with all that counts as equal where case does not.</param>
    /// <param name="Literal">The code point where the pattern spells one and case does not count; else negative.</param>
    public sealed record Set(CodePointSet Members, int Literal = -1) : PatternNode;

    public sealed record Sequence(IReadOnlyList<PatternNode> Parts) : PatternNode;

    public sealed record Alternation(IReadOnlyList<PatternNode> Branches) : PatternNode;

    /// <summary><paramref name="Max"/> is negative for no limit.</summary>
    public sealed record Repeat(PatternNode Body, int Min, int Max, Greed Greed) : PatternNode;

    public sealed record Group(GroupKind Kind, PatternNode Body) : PatternNode;

    public sealed record Anchor(AnchorKind Kind) : PatternNode;
}

/// <summary>How a quantifier takes.</summary>
internal enum Greed
{
    Greedy,
    Lazy,
    Possessive,
}

/// <summary>What a group does. Those that capture are plain ones, as nothing refers to what they capture.</summary>
internal enum GroupKind
{
    Plain,
    Atomic,
    Ahead,
    NotAhead,
    Behind,
    NotBehind,
}

/// <summary>Places that a pattern can ask for.</summary>
internal enum AnchorKind
{
    LineStart,
    LineEnd,
    TextStart,
    TextEnd,
    TextEndOrLastLineBreak,
    WordBoundary,
    NoWordBoundary,
}
