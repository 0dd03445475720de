using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.Benchmarks;

/// <summary>Times the writing of tokens with a float model and with quantized ones, by turns in one process.</summary>
internal sealed class GenerationBenchmark(Func<SessionOptions> options, RunClock clock)
{
    private const int FirstToken = 1;

    /// <param name="models">Models, the float one first.</param>
    /// <param name="tokens">Tokens to write.</param>
    /// <param name="seconds">About how long to measure.</param>
    public void Measure(IReadOnlyList<string> models, int tokens, double seconds)
    {
        Generator[] generators =
        [
            .. models.Select(model =>
                new Generator(new InferenceSession(model, options()), Path.GetDirectoryName(Path.GetFullPath(model))!)),
        ];
        List<double>[] rates = [.. models.Select(_ => new List<double>())];
        long end = Stopwatch.GetTimestamp() + (long)(seconds * Stopwatch.Frequency);
        for (int round = 0; round < 6 || Stopwatch.GetTimestamp() < end; round++)
        {
            for (int i = 0; i < generators.Length; i++)
            {
                Thread.Sleep(5);
                double taken = clock.Time(() => generators[i].Generate(FirstToken, tokens));
                if (round > 0)
                {
                    rates[i].Add(tokens / taken);
                }
            }
        }
        string cache = generators[0].HasCache ? "key-value cache" : "whole context for each token";
        Console.WriteLine($"{tokens} tokens, {cache}, {rates[0].Count} rounds");
        Console.WriteLine("| model | tokens/s | best tokens/s | times float |");
        Console.WriteLine("|:--|--:|--:|--:|");
        for (int i = 0; i < models.Count; i++)
        {
            double ratio = Statistics.Speedup(rates[i], rates[0]); // Rates, not times: the other way round.
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {models[i]} | {Statistics.Median(rates[i]):0.0} | {rates[i].Max():0.0} | {ratio:0.00} |"));
            generators[i].Dispose();
        }
    }
}
