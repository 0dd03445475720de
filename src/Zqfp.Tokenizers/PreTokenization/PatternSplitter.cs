namespace Zqfp.Tokenizers;

/// <summary>What becomes of a pattern's matches.</summary>
internal enum PieceBehavior
{
    Removed,
    Isolated,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

/// <summary><c>Split</c> and its relatives with any pattern.</summary>
/// <param name="pattern">Finds the matches.</param>
/// <param name="behavior">What becomes of them.</param>
/// <param name="invert">Whether matches and gaps change places.</param>
internal sealed class PatternSplitter(CodePointPattern pattern, PieceBehavior behavior, bool invert = false) : WordSplitter
{
    public override void Split(Piece piece, IPieceSink sink)
    {
        List<Part> found = Find(piece.Span, sink.Cancellation);
        List<Part> parts = behavior switch
        {
            PieceBehavior.Removed => found.FindAll(part => !part.Matched),
            PieceBehavior.Isolated => found,
            PieceBehavior.MergedWithPrevious => MergeWithPrevious(found),
            PieceBehavior.MergedWithNext => MergeWithNext(found),
            _ => MergeAlike(found),
        };
        foreach (Part part in parts.Where(part => part.End > part.Start))
        {
            sink.Accept(piece.Slice(piece.Start + part.Start, piece.Start + part.End));
        }
    }

    /// <summary>Matches, empty ones too, and the gaps between them, in order.</summary>
    private List<Part> Find(ReadOnlySpan<char> text, CancellationToken cancellation)
    {
        var parts = new List<Part>();
        int end = 0;
        foreach ((int start, int length) in pattern.Matches(text, cancellation))
        {
            if (start > end)
            {
                parts.Add(new Part(end, start, invert));
            }

            end = start + length;
            parts.Add(new Part(start, end, !invert));
        }

        if (end < text.Length)
        {
            parts.Add(new Part(end, text.Length, invert));
        }

        return parts;
    }

    /// <summary>A match joins the part before it, unless that is a match as well.</summary>
    private static List<Part> MergeWithPrevious(List<Part> parts)
    {
        var merged = new List<Part>(parts.Count);
        bool afterMatch = false;
        foreach (Part part in parts)
        {
            if (part.Matched && !afterMatch && merged.Count > 0)
            {
                merged[^1] = merged[^1] with { End = part.End };
            }
            else
            {
                merged.Add(part);
            }

            afterMatch = part.Matched;
        }

        return merged;
    }

    /// <summary>A match joins the part after it, unless that is a match as well.</summary>
    private static List<Part> MergeWithNext(List<Part> parts)
    {
        var merged = new List<Part>(parts.Count);
        bool beforeMatch = false;
        for (int i = parts.Count - 1; i >= 0; i--)
        {
            if (parts[i].Matched && !beforeMatch && merged.Count > 0)
            {
                merged[^1] = merged[^1] with { Start = parts[i].Start };
            }
            else
            {
                merged.Add(parts[i]);
            }

            beforeMatch = parts[i].Matched;
        }

        merged.Reverse();
        return merged;
    }

    /// <summary>Matches in a row become one part.</summary>
    private static List<Part> MergeAlike(List<Part> parts)
    {
        var merged = new List<Part>(parts.Count);
        foreach (Part part in parts)
        {
            if (merged.Count > 0 && merged[^1].Matched == part.Matched)
            {
                merged[^1] = merged[^1] with { End = part.End };
            }
            else
            {
                merged.Add(part);
            }
        }

        return merged;
    }

    private readonly record struct Part(int Start, int End, bool Matched);
}
