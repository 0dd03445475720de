namespace Zqfp.Tokenizers;

/// <summary>A set of Unicode code points: ascending ranges that neither touch nor overlap. Immutable.</summary>
internal sealed class CodePointSet
{
    /// <summary>The greatest code point.</summary>
    public const int Last = 0x10FFFF;

    private CodePointSet(List<(int First, int Last)> ranges)
    {
        Ranges = ranges;
    }

    public static CodePointSet Empty { get; } = new([]);

    public static CodePointSet All { get; } = Of(0, Last);

    /// <summary>The ranges, both ends included.</summary>
    public IReadOnlyList<(int First, int Last)> Ranges { get; }

    public static CodePointSet Of(int codePoint) => Of(codePoint, codePoint);

    public static CodePointSet Of(int first, int last) => new([(first, last)]);

    /// <summary>The union of any ranges.</summary>
    public static CodePointSet FromRanges(IEnumerable<(int First, int Last)> ranges)
    {
        var joined = new List<(int First, int Last)>();
        foreach ((int first, int last) in ranges.OrderBy(range => range.First))
        {
            if (joined.Count > 0 && first <= joined[^1].Last + 1)
            {
                joined[^1] = (joined[^1].First, Math.Max(joined[^1].Last, last));
            }
            else
            {
                joined.Add((first, last));
            }
        }

        return new CodePointSet(joined);
    }

    public bool Contains(int codePoint)
    {
        int low = 0;
        int high = Ranges.Count - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            (int first, int last) = Ranges[middle];
            if (codePoint < first)
            {
                high = middle - 1;
            }
            else if (codePoint > last)
            {
                low = middle + 1;
            }
            else
            {
                return true;
            }
        }

        return false;
    }

    public CodePointSet Union(CodePointSet other) => FromRanges(Ranges.Concat(other.Ranges));

    public CodePointSet Intersect(CodePointSet other) => Complement().Union(other.Complement()).Complement();

    public CodePointSet Except(CodePointSet other) => Intersect(other.Complement());

    public CodePointSet Complement()
    {
        var gaps = new List<(int First, int Last)>(Ranges.Count + 1);
        int next = 0;
        foreach ((int first, int last) in Ranges)
        {
            if (first > next)
            {
                gaps.Add((next, first - 1));
            }

            next = last + 1;
        }

        if (next <= Last)
        {
            gaps.Add((next, Last));
        }

        return new CodePointSet(gaps);
    }
}
