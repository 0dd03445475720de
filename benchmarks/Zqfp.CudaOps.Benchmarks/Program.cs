using System.Diagnostics;
using System.Globalization;
using Zqfp.Benchmarks;
using Zqfp.CudaOps;
using Zqfp.OnnxRuntime;

// Usage: [--threads T] [--layers-megabytes MB] [--only NAME] [--library zqfp_ops.so] M,N,K [M,N,K ...]
// For each shape and each way to compute it: the median time of a run, when runs rotate over enough layers that their weights
// do not stay in a cache of that many megabytes.
int threads = Environment.ProcessorCount;
long cacheBytes = 300L << 20;
string? only = null;
string? library = null;
var shapes = new List<(int M, int N, int K)>();
for (int i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "--threads":
            threads = int.Parse(args[++i], CultureInfo.InvariantCulture);
            break;
        case "--layers-megabytes":
            cacheBytes = long.Parse(args[++i], CultureInfo.InvariantCulture) << 20;
            break;
        case "--only":
            only = args[++i];
            break;
        case "--library":
            library = args[++i];
            break;
        default:
            int[] shape = [.. args[i].Split(',').Select(text => int.Parse(text, CultureInfo.InvariantCulture))];
            shapes.Add((shape[0], shape[1], shape[2]));
            break;
    }
}

using var environment = new OrtEnvironment();
using OrtOperatorDomain domain = ZqfpOperators.CreateDomain(environment);
Console.WriteLine($"ONNX Runtime {environment.Library.Version}, {threads} threads, layers of {cacheBytes >> 20} MB in rotation");
Console.WriteLine("| M | N | K | kernel | ms | best ms | GFLOP/s at best | weights GB/s at best | times float32 | at best |");
Console.WriteLine("|--:|--:|--:|:--|--:|--:|--:|--:|--:|--:|");
foreach ((int m, int n, int k) in shapes)
{
    (double Median, double Best) baseline = (0, 0);
    foreach (Candidate candidate in Candidate.All.Where(candidate => only is null || candidate.Name.Contains(only, StringComparison.Ordinal)))
    {
        double bytes = (double)n * k * candidate.BitsPerWeight / 8;
        int layers = m > 32 ? 1 : (int)Math.Clamp(Math.Ceiling(cacheBytes / bytes), 1, 64);
        var random = new Random(1);
        var options = new OrtSessionOptions { IntraOpThreads = threads };
        _ = library is null ? options.AddOperatorDomain(domain) : options.AddOperatorLibrary(library);
        OrtSession[] sessions = [.. Enumerable.Range(0, layers).Select(_ => OrtSession.Create(environment, candidate.Model(random, n, k), options))];
        (double median, double best) = Measure(environment, sessions, m, k);
        baseline = baseline.Best == 0 ? (median, best) : baseline;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"| {m} | {n} | {k} | {candidate.Name} | {median * 1e3:0.000} | {best * 1e3:0.000} | {2.0 * m * n * k / best / 1e9:0} | {bytes / best / 1e9:0.0} | {baseline.Median / median:0.00} | {baseline.Best / best:0.00} |"));
        foreach (OrtSession session in sessions)
        {
            session.Dispose();
        }
    }
}

static (double Median, double Best) Measure(OrtEnvironment environment, OrtSession[] sessions, int m, int k)
{
    var random = new Random(2);
    float[] values = [.. Enumerable.Range(0, m * k).Select(_ => (float)(random.NextDouble() - 0.5))];
    using var x = OrtValue.Create<float>(environment, values, [m, k]);
    var times = new List<double>();
    long end = Stopwatch.GetTimestamp() + (3 * Stopwatch.Frequency);
    for (int run = 0; run < 5 * sessions.Length || (Stopwatch.GetTimestamp() < end && times.Count < 2000); run++)
    {
        long start = Stopwatch.GetTimestamp();
        sessions[run % sessions.Length].Run(["x"], [x], ["y"])[0].Dispose();
        if (run >= 2 * sessions.Length)
        {
            times.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
    }
    times.Sort();
    return (times[times.Count / 2], times[0]);
}
