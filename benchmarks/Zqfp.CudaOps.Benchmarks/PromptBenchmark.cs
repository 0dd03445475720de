using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.Benchmarks;

/// <summary>Times whole models over prompts of some lengths, without a cache, by turns in one process.</summary>
internal sealed class PromptBenchmark(Func<SessionOptions> options, RunClock clock)
{
    private static readonly int[] Lengths = [2, 16, 256];

    /// <param name="models">Models, the first of which the others are compared with.</param>
    /// <param name="seconds">About how long to measure each length.</param>
    public void Measure(IReadOnlyList<string> models, double seconds)
    {
        InferenceSession[] sessions = [.. models.Select(model => new InferenceSession(model, options()))];
        Console.WriteLine("| tokens | model | ms | best ms | times the first | times the second |");
        Console.WriteLine("|--:|:--|--:|--:|--:|--:|");
        foreach (int length in Lengths)
        {
            List<double>[] times = [.. sessions.Select(_ => new List<double>())];
            long end = Stopwatch.GetTimestamp() + (long)(seconds * Stopwatch.Frequency);
            for (int round = 0; round < 8 || Stopwatch.GetTimestamp() < end; round++)
            {
                for (int i = 0; i < sessions.Length; i++)
                {
                    double taken = clock.Time(() => Run(sessions[i], length));
                    if (round > 1)
                    {
                        times[i].Add(taken);
                    }
                }
            }

            for (int i = 0; i < sessions.Length; i++)
            {
                List<double> second = times[Math.Min(1, sessions.Length - 1)];
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {length} | {models[i]} | {Statistics.Median(times[i]) * 1e3:0.00} | {times[i].Min() * 1e3:0.00} | "
                    + $"{Statistics.Speedup(times[0], times[i]):0.00} | {Statistics.Speedup(second, times[i]):0.00} |"));
            }
        }

        Array.ForEach(sessions, session => session.Dispose());
    }

    /// <summary>Runs a prompt of some length.</summary>
    public static void Run(InferenceSession session, int length)
    {
        long[] tokens = [.. Enumerable.Range(0, length).Select(i => 100L + (37 * i))];
        OrtValue[] inputs = [.. session.InputNames.Select(name => OrtValue.CreateTensorValueFromMemory(
            name == "attention_mask" ? [.. tokens.Select(_ => 1L)]
                : name == "position_ids" ? [.. Enumerable.Range(0, length).Select(i => (long)i)] : tokens,
            [1L, length]))];
        string[] names = [.. session.InputNames];
        string[] outputs = [session.OutputNames.Contains("logits") ? "logits" : session.OutputNames[0]];
        using var options = new RunOptions();
        foreach (OrtValue output in session.Run(options, names, inputs, outputs))
        {
            output.Dispose();
        }

        Array.ForEach(inputs, input => input.Dispose());
    }
}
