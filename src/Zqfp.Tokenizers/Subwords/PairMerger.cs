namespace Zqfp.Tokenizers;

/// <summary>
/// Byte-pair encoding of one word: again and again the neighbours whose merge has the least rank, the leftmost of equals,
/// become one symbol. Short words search the whole row each time; long ones keep a heap, so that a text without spaces
/// costs O(n log n).
/// </summary>
internal sealed class PairMerger(MergeTable merges)
{
    private const int LongestSearched = 40;

    private readonly PriorityQueue<ulong, ulong> _candidates = new();
    private ulong[] _answers = new ulong[64];
    private int[] _next = [];
    private int[] _previous = [];

    /// <summary>Merges in place and returns how many symbols are left at the front. Negative symbols never merge.</summary>
    /// <param name="symbols">The word's first symbols.</param>
    /// <param name="widths">Receives how many of the first symbols each of those left is made of; empty where nobody asks.</param>
    public int Merge(Span<int> symbols, Span<int> widths = default)
    {
        widths.Fill(1);
        return symbols.Length <= LongestSearched ? MergeShort(symbols, widths) : MergeLong(symbols, widths);
    }

    private int MergeShort(Span<int> symbols, Span<int> widths)
    {
        int count = symbols.Length;
        Span<ulong> answers = _answers.AsSpan(0, count);
        for (int i = 0; i + 1 < count; i++)
        {
            answers[i] = merges.Lookup(symbols[i], symbols[i + 1]);
        }

        while (count > 1)
        {
            int best = LeastRank(answers[..(count - 1)]);
            if (answers[best] == MergeTable.None)
            {
                break;
            }

            symbols[best] = MergeTable.Result(answers[best]);
            if (widths.Length > 0)
            {
                widths[best] += widths[best + 1];
                widths[(best + 2)..count].CopyTo(widths[(best + 1)..]);
            }

            count--;
            symbols[(best + 2)..(count + 1)].CopyTo(symbols[(best + 1)..]);
            if (best + 1 < count)
            {
                answers[(best + 2)..count].CopyTo(answers[(best + 1)..]);
                answers[best] = merges.Lookup(symbols[best], symbols[best + 1]);
            }

            if (best > 0)
            {
                answers[best - 1] = merges.Lookup(symbols[best - 1], symbols[best]);
            }
        }

        return count;
    }

    private static int LeastRank(ReadOnlySpan<ulong> answers)
    {
        int best = 0;
        for (int i = 1; i < answers.Length; i++)
        {
            // Ranks alone decide: equal ranks with different results must go leftmost first.
            if (answers[i] >> 32 < answers[best] >> 32)
            {
                best = i;
            }
        }

        return best;
    }

    private int MergeLong(Span<int> symbols, Span<int> widths)
    {
        int count = symbols.Length;
        EnsureLinks(count);
        _candidates.Clear();
        for (int i = 0; i < count; i++)
        {
            _previous[i] = i - 1;
            _next[i] = i + 1 < count ? i + 1 : -1;
            Offer(symbols, i);
        }

        while (_candidates.TryDequeue(out ulong answer, out ulong candidate))
        {
            int left = (int)(uint)candidate;
            int right = _next[left];

            // A candidate is stale once either of its symbols has been merged away or grown.
            if (right < 0 || merges.Lookup(symbols[left], symbols[right]) != answer)
            {
                continue;
            }

            symbols[left] = MergeTable.Result(answer);
            if (widths.Length > 0)
            {
                widths[left] += widths[right];
            }

            _next[left] = _next[right];
            _next[right] = -1;
            if (_next[left] >= 0)
            {
                _previous[_next[left]] = left;
                Offer(symbols, left);
            }

            if (_previous[left] >= 0)
            {
                Offer(symbols, _previous[left]);
            }
        }

        int kept = 0;
        for (int i = 0; i >= 0; i = _next[i])
        {
            if (widths.Length > 0)
            {
                widths[kept] = widths[i];
            }

            symbols[kept++] = symbols[i];
        }

        return kept;
    }

    private void Offer(ReadOnlySpan<int> symbols, int left)
    {
        int right = _next[left];
        ulong answer = right < 0 ? MergeTable.None : merges.Lookup(symbols[left], symbols[right]);
        if (answer != MergeTable.None)
        {
            // Ordered by rank, then by position.
            _candidates.Enqueue(answer, (answer >> 32 << 32) | (uint)left);
        }
    }

    private void EnsureLinks(int count)
    {
        if (_next.Length < count)
        {
            _next = new int[count];
            _previous = new int[count];
        }
    }
}
