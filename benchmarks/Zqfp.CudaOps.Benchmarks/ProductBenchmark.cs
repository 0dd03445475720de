using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.Benchmarks;

/// <summary>
/// Times the ways to compute a product by turns: in each round each of them runs once, so that a machine whose speed changes
/// from second to second is equally fast or slow for all, and ratios are taken within a round.
/// </summary>
internal sealed class ProductBenchmark(Func<SessionOptions> options, MemoryBandwidth bandwidth, RunClock clock)
{
    private const int WarmRounds = 2;
    private const int LeastRounds = 5;

    /// <summary>Above so many rows a product is bound by arithmetic, and one layer says it all.</summary>
    private const int FewRows = 32;

    /// <summary>Prints the table's head.</summary>
    public static void PrintHead()
    {
        Console.WriteLine(
            "| M | N | K | kernel | ms | best ms | times float32 | times level 4 | GFLOP/s | weights GB/s at best | of memory's |");
        Console.WriteLine("|--:|--:|--:|:--|--:|--:|--:|--:|--:|--:|--:|");
    }

    /// <summary>Times one shape and prints a row for each candidate.</summary>
    /// <param name="m">Rows of X.</param>
    /// <param name="n">Rows of W.</param>
    /// <param name="k">Columns of both.</param>
    /// <param name="candidates">The ways to compute it, first the two to compare with.</param>
    /// <param name="weightBytes">Least size of a stack's weights.</param>
    /// <param name="seconds">About how long to measure.</param>
    public void Measure(int m, int n, int k, IReadOnlyList<Candidate> candidates, long weightBytes, double seconds)
    {
        LayerStack[] stacks =
        [
            .. candidates.Select(candidate => new LayerStack(candidate, Layers(candidate, m, n, k, weightBytes), m, n, k, options)),
        ];
        var times = stacks.Select(_ => new List<double>()).ToArray();
        var memory = new List<double>();
        long end = Stopwatch.GetTimestamp() + (long)(seconds * Stopwatch.Frequency);
        for (int round = 0; round < WarmRounds + LeastRounds || Stopwatch.GetTimestamp() < end; round++)
        {
            for (int i = 0; i < stacks.Length; i++)
            {
                double taken = clock.Time(stacks[i].Run);
                if (round >= WarmRounds)
                {
                    times[i].Add(taken / stacks[i].Layers);
                }
            }
            memory.Add(bandwidth.Measure());
        }
        double read = memory.Max();
        for (int i = 0; i < stacks.Length; i++)
        {
            double median = Statistics.Median(times[i]);
            double bytes = stacks[i].Bytes / stacks[i].Layers / times[i].Min();
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {m} | {n} | {k} | {candidates[i].Name} | {median * 1e3:0.000} | {times[i].Min() * 1e3:0.000} | "
                + $"{Statistics.Speedup(times[0], times[i]):0.00} | {Statistics.Speedup(times[1], times[i]):0.00} | "
                + $"{2.0 * m * n * k / median / 1e9:0} | {bytes / 1e9:0.0} | {bytes / read:0%} |"));
            stacks[i].Dispose();
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"| {m} | {n} | {k} | reading memory, {times[0].Count} rounds | | | | | | "
            + $"{read / 1e9:0.0} | 100% |"));
    }

    private static int Layers(Candidate candidate, int m, int n, int k, long weightBytes) =>
        m > FewRows ? 1 : Math.Max(1, (int)Math.Ceiling(weightBytes / ((double)n * k * candidate.BitsPerWeight(n, k) / 8)));
}
