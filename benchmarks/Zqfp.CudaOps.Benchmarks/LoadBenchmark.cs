using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.Benchmarks;

/// <summary>Times the making of a session of one layer, whose kernel packs the weights, by turns.</summary>
internal sealed class LoadBenchmark(Func<SessionOptions> options)
{
    /// <summary>Prints the table's head.</summary>
    public static void PrintHead()
    {
        Console.WriteLine("| N | K | kernel | ms to load | best ms |");
        Console.WriteLine("|--:|--:|:--|--:|--:|");
    }

    /// <summary>Times one shape and prints a row for each candidate.</summary>
    public void Measure(int n, int k, IReadOnlyList<Candidate> candidates, double seconds)
    {
        List<double>[] times = [.. candidates.Select(_ => new List<double>())];
        long end = Stopwatch.GetTimestamp() + (long)(seconds * Stopwatch.Frequency);
        for (int round = 0; round < 4 || Stopwatch.GetTimestamp() < end; round++)
        {
            for (int i = 0; i < candidates.Count; i++)
            {
                using var stack = new LayerStack(candidates[i], layers: 1, m: 1, n, k, options);
                times[i].Add(stack.LoadSeconds);
            }
        }
        for (int i = 0; i < candidates.Count; i++)
        {
            double[] warm = [.. times[i].Skip(1)];
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"| {n} | {k} | {candidates[i].Name} | {Statistics.Median(warm) * 1e3:0.0} | {warm.Min() * 1e3:0.0} |"));
        }
    }
}
