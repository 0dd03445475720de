using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;

namespace Zqfp.ModelBench;

/// <summary>All candidates over all scenarios on one GPU.</summary>
/// <param name="report">Where the tables go.</param>
/// <param name="context">The device.</param>
/// <param name="operators">Adds the operators of domain zqfp to a session's options.</param>
/// <param name="rounds">How often the candidates take turns; 0 computes each scenario a few times, for a profiler.</param>
internal sealed class Comparison(TextWriter report, CudaContext context, Action<SessionOptions> operators, int rounds)
{
    public void Run(string folder, DecoderShape shape, int storedLayers, IReadOnlyList<WeightKind> kinds, IReadOnlyList<Scenario> scenarios)
    {
        int positions = scenarios.Max(one => one.Positions);
        using var workspace = new Workspace(context, shape, scenarios);
        List<Candidate> candidates = [];
        report.WriteLine("| model | GPU memory with its session, GB | seconds to write and open |");
        report.WriteLine("|---|--:|--:|");
        foreach (WeightKind kind in kinds)
        {
            long before = UsedMegabytes();
            long start = Stopwatch.GetTimestamp();
            string path = Candidate.Write(folder, shape, kind, storedLayers, positions);
            try
            {
                candidates.Add(Candidate.Open(path, kind, workspace, operators, onDevice: true));
            }
            catch (OnnxRuntimeException e)
            {
                report.WriteLine($"{kind.Name} does not load: {e.Message}");
                continue;
            }

            Row(kind.Name, (UsedMegabytes() - before) / 1000.0, Stopwatch.GetElapsedTime(start).TotalSeconds);
            report.Flush();
        }

        foreach (Scenario scenario in scenarios)
        {
            foreach (bool graph in rounds == 0 ? [false] : (bool[])[false, true])
            {
                Compare(workspace, candidates, scenario, graph);
            }
        }

        candidates.ForEach(candidate => candidate.Dispose());
    }

    private void Compare(Workspace workspace, List<Candidate> candidates, Scenario scenario, bool graph)
    {
        report.WriteLine();
        report.WriteLine($"{scenario.Name}, {(graph ? "CUDA graph" : "node by node")}");
        report.WriteLine();
        report.WriteLine("| model | ms, median | best | tokens/s | times float16 | same bits again |");
        report.WriteLine("|---|--:|--:|--:|--:|---|");
        var times = candidates.ToDictionary(one => one, _ => new List<double>());
        var same = new Dictionary<Candidate, bool>();
        int count = scenario.Length >= 1024 ? 5 : 30;
        workspace.Fill(scenario);
        foreach (Candidate candidate in candidates)
        {
            try
            {
                candidate.Run(scenario, graph);
                candidate.Run(scenario, graph);
                Half[] first = workspace.Logits(scenario);
                candidate.Run(scenario, graph);
                same[candidate] = first.AsSpan().SequenceEqual(workspace.Logits(scenario)) && first.All(Half.IsFinite);
            }
            catch (OnnxRuntimeException e)
            {
                report.WriteLine($"{candidate.Kind.Name}: {e.Message.ReplaceLineEndings(" ")}");
            }
        }

        for (int round = 0; round < rounds; round++)
        {
            foreach (Candidate candidate in candidates.Where(same.ContainsKey))
            {
                _ = candidate.Time(scenario, graph, 2).Last();
                times[candidate].AddRange(candidate.Time(scenario, graph, count));
            }
        }

        double? half = null;
        foreach (Candidate candidate in candidates.Where(one => times[one].Count > 0))
        {
            times[candidate].Sort();
            double median = times[candidate][times[candidate].Count / 2];
            half ??= median;
            Row(candidate.Kind.Name, median, times[candidate][0], scenario.Batch * scenario.Length / median * 1000, half.Value / median,
                same[candidate] ? "yes" : "no");
        }

        report.Flush();
    }

    /// <summary>What the device's memory holds, of all processes.</summary>
    private static long UsedMegabytes()
    {
        using Process process = Process.Start(new ProcessStartInfo(
            "nvidia-smi", "--query-gpu=memory.used --format=csv,noheader,nounits -i 0")
        {
            RedirectStandardOutput = true,
        })!;
        string text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return long.TryParse(text.Trim(), CultureInfo.InvariantCulture, out long megabytes) ? megabytes : 0;
    }

    private void Row(params object[] cells) => report.WriteLine(
        $"| {string.Join(" | ", cells.Select(Text))} |");

    private static object Text(object cell) => cell is double number ? number.ToString("F3", CultureInfo.InvariantCulture) : cell;
}
