using System.Globalization;
using Zqfp.Benchmarks;
using Zqfp.CudaOps;
using Zqfp.OnnxRuntime;

// Usage: [products | load] [--threads T] [--layers-megabytes MB] [--seconds S] [--only NAME] [--library zqfp_ops.so] [M,N,K ...]
//   products  times matrix products; without shapes, those of docs/operators.md
//   load      times the making of a session of one layer
int threads = Environment.ProcessorCount;
long weightBytes = 300L << 20;
double seconds = 20;
string mode = "products";
string? only = null;
string? library = null;
var shapes = new List<(int M, int N, int K)>();
for (int i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "products" or "load":
            mode = args[i];
            break;
        case "--threads":
            threads = int.Parse(args[++i], CultureInfo.InvariantCulture);
            break;
        case "--layers-megabytes":
            weightBytes = long.Parse(args[++i], CultureInfo.InvariantCulture) << 20;
            break;
        case "--seconds":
            seconds = double.Parse(args[++i], CultureInfo.InvariantCulture);
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
OrtSessionOptions Options()
{
    var options = new OrtSessionOptions { IntraOpThreads = threads };
    return library is null ? options.AddOperatorDomain(domain) : options.AddOperatorLibrary(library);
}
Candidate[] candidates = [.. Candidate.All.Where((candidate, i) => i == 0 || only is null || candidate.Name.Contains(only, StringComparison.Ordinal))];
Console.WriteLine($"ONNX Runtime {environment.Library.Version}, {threads} threads, layers of {weightBytes >> 20} MB one after the other");
switch (mode)
{
    case "load":
        var load = new LoadBenchmark(environment, Options);
        LoadBenchmark.PrintHead();
        foreach ((_, int n, int k) in shapes.DefaultIfEmpty((1, 4096, 11008)))
        {
            load.Measure(n, k, candidates, seconds);
        }
        break;
    default:
        using (var bandwidth = new MemoryBandwidth(threads, weightBytes))
        {
            var products = new ProductBenchmark(environment, Options, bandwidth);
            ProductBenchmark.PrintHead();
            foreach ((int m, int n, int k) in shapes.Count > 0 ? shapes : [(1, 4096, 4096), (1, 11008, 4096), (1, 4096, 11008), (16, 4096, 4096), (256, 4096, 4096)])
            {
                products.Measure(m, n, k, candidates, weightBytes, seconds);
            }
        }
        break;
}
