using System.Diagnostics;

namespace Zqfp.Tokenizers.Tests;

public class PairMergerTests
{
    [Theory]
    [InlineData(30, 400)]
    [InlineData(300, 60)]
    public void Search_and_heap_give_what_the_definition_gives(int longest, int rounds)
    {
        var random = new Random(21);
        for (int round = 0; round < rounds; round++)
        {
            List<Merge> merges = RandomMerges(random, 4, 40);
            int[] symbols = [.. Enumerable.Range(0, 1 + random.Next(longest)).Select(_ => random.Next(6) - 1)];
            int[] expected = ByDefinition([.. symbols], merges);
            int count = new PairMerger(new MergeTable(merges)).Merge(symbols);
            Assert.Equal(expected, symbols[..count]);
        }
    }

    [Fact]
    public void Buffers_of_a_longer_word_do_not_show_in_a_shorter_one()
    {
        var random = new Random(22);
        List<Merge> merges = RandomMerges(random, 4, 40);
        var merger = new PairMerger(new MergeTable(merges));
        foreach (int length in new[] { 500, 60, 3, 300, 1, 0, 41 })
        {
            int[] symbols = [.. Enumerable.Range(0, length).Select(_ => random.Next(4))];
            int[] expected = ByDefinition([.. symbols], merges);
            Assert.Equal(expected, symbols[..merger.Merge(symbols)]);
        }
    }

    [Fact]
    public void A_very_long_word_takes_seconds_and_not_hours()
    {
        // aa, aaaa, ... : every level merges. The quadratic way would take 10^11 steps.
        Merge[] merges = [.. Enumerable.Range(0, 17).Select(level => new Merge(level, level, level, level + 1))];
        var symbols = new int[1 << 18];
        var watch = Stopwatch.StartNew();
        int count = new PairMerger(new MergeTable(merges)).Merge(symbols);
        Assert.Equal(2, count);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30), $"It took {watch.Elapsed}.");
    }

    /// <summary>Merges the leftmost pair of least rank until none is left.</summary>
    private static int[] ByDefinition(List<int> symbols, List<Merge> merges)
    {
        while (true)
        {
            int best = -1;
            Merge bestMerge = default;
            for (int i = 0; i + 1 < symbols.Count; i++)
            {
                Merge merge = merges.FindLast(merge => merge.Left == symbols[i] && merge.Right == symbols[i + 1]);
                if (merge != default && (best < 0 || merge.Rank < bestMerge.Rank))
                {
                    best = i;
                    bestMerge = merge;
                }
            }

            if (best < 0)
            {
                return [.. symbols];
            }

            symbols[best] = bestMerge.Result;
            symbols.RemoveAt(best + 1);
        }
    }

    private static List<Merge> RandomMerges(Random random, int letters, int count)
    {
        // Results have larger ids than their parts, as in a real vocabulary; some ranks are shared.
        var merges = new List<Merge>();
        for (int i = 0; i < count; i++)
        {
            int known = letters + i;
            merges.Add(new Merge(random.Next(known), random.Next(known), 1 + i / 2, known));
        }

        return [.. merges.DistinctBy(merge => (merge.Left, merge.Right))];
    }
}
