using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Zqfp.Benchmarks;
using Zqfp.CudaOps;
using Zqfp.Evaluation;

// Usage: [products | loops | tokens | load | generate | prompt | operators | int4 | evaluate | host]
//        [--threads T] [--seconds S] [--only NAME,..] [--own-time]
//        [--library zqfp_ops.so] [--layers-megabytes MB] [M,N,K ...]      for products and load
//        [--tokens N] FLOAT.onnx MODEL.onnx ...    for generate
//        MODEL.onnx ...                           for prompt: the first ones to compare with
//        [--tokens N] MODEL.onnx ...              for operators
//        STOCK.onnx                               for int4
//        --text FILE --tokenizer FILE FLOAT.onnx  for evaluate
//   products  times matrix products; without shapes, those of docs/operators.md
//   loops     times the inner loops of products with many tokens, on one thread
//   tokens    times the quantizing of tokens, with and without a rotation, on one thread
//   load      times the making of a session of one layer
//   generate  times the writing of tokens with a whole model
//   prompt    times whole models over prompts of 2, 16 and 256 tokens
//   operators says where whole models spend their time over a prompt, or for a token where they have a cache, by ONNX Runtime's profile
//   int4      writes beside a model of the profile stock one with 4-bit MatMulNBits of level 4, to time
//   evaluate  times an evaluation against a session that only runs the same batches
//   host      times the host's part of the GPU operators' calls, with a driver that does nothing
// --own-time measures the process's own time: with --threads 1, on a machine with other work.
int tokens = 64;
var models = new List<string>();
int threads = Environment.ProcessorCount;
long weightBytes = 300L << 20;
double seconds = 20;
string mode = "products";
string[] only = [];
bool ownTime = false;
string? library = null;
string text = "";
string tokenizer = "";
var shapes = new List<(int M, int N, int K)>();
for (int i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "products" or "loops" or "tokens" or "load" or "generate" or "prompt" or "operators" or "int4" or "evaluate" or "host":
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
        case "--own-time":
            ownTime = true;
            break;
        case "--only":
            only = args[++i].Split(',');
            break;
        case "--library":
            library = args[++i];
            break;
        case "--text":
            text = args[++i];
            break;
        case "--tokenizer":
            tokenizer = args[++i];
            break;
        case "--tokens":
            tokens = int.Parse(args[++i], CultureInfo.InvariantCulture);
            break;
        case string model when model.EndsWith(".onnx", StringComparison.Ordinal):
            models.Add(model);
            break;
        default:
            int[] shape = [.. args[i].Split(',').Select(text => int.Parse(text, CultureInfo.InvariantCulture))];
            shapes.Add((shape[0], shape[1], shape[2]));
            break;
    }
}

// One pool for all sessions, whose threads spin a while after each run: those of many pools would take the cores from each other.
using var threading = new OrtThreadingOptions { GlobalIntraOpNumThreads = threads, GlobalInterOpNumThreads = 1, GlobalSpinControl = true };
var environment = new EnvironmentCreationOptions { logId = "benchmarks", threadOptions = threading };
OrtEnv.CreateInstanceWithOptions(ref environment);
SessionOptions Options()
{
    var options = new SessionOptions();
    options.DisablePerSessionThreads();
    if (library is null)
    {
        return options.AddZqfpOperators();
    }

    options.RegisterCustomOpLibrary(library);
    return options;
}
Candidate[] candidates =
[
    .. Candidate.All.Where(
        (candidate, i) => i < 2 || only.Length == 0 || only.Any(name => candidate.Name.Contains(name, StringComparison.Ordinal))),
];
Console.WriteLine(
    $"{ProcessorName.Read()}, kernels for {CpuFeatures.Kernels}, "
    + $"ONNX Runtime {OrtEnv.Instance().GetVersionString()}, {threads} threads");
var clock = new RunClock(ownTime);
switch (mode)
{
    case "load":
        var load = new LoadBenchmark(Options);
        LoadBenchmark.PrintHead();
        foreach ((_, int n, int k) in shapes.DefaultIfEmpty((1, 4096, 11008)))
        {
            load.Measure(n, k, candidates, seconds);
        }
        break;
    case "generate":
        new GenerationBenchmark(Options, clock).Measure(models, tokens, seconds);
        break;
    case "prompt":
        new PromptBenchmark(Options, clock).Measure(models, seconds);
        break;
    case "operators":
        new OperatorBenchmark(Options).Measure(models, tokens);
        break;
    case "int4":
        Console.WriteLine(FourBitModel.Write(models[0]));
        break;
    case "evaluate":
        new EvaluationBenchmark(threads).Measure(models[0], text, tokenizer, seconds);
        break;
    case "loops":
        InnerLoopBenchmark.Measure(seconds);
        break;
    case "tokens":
        TokenBenchmark.Measure(seconds);
        break;
    case "host":
        HostPathBenchmark.Measure(seconds);
        break;
    default:
        using (var bandwidth = new MemoryBandwidth(threads, weightBytes))
        {
            var products = new ProductBenchmark(Options, bandwidth, clock);
            ProductBenchmark.PrintHead();
            int[] rows = [1, 16, 256];
            (int N, int K)[] layers = [(4096, 4096), (11008, 4096), (4096, 11008)];
            foreach ((int m, int n, int k) in shapes.Count > 0
                ? shapes
                : [.. rows.SelectMany(row => layers.Select(layer => (row, layer.N, layer.K)))])
            {
                products.Measure(m, n, k, candidates, weightBytes, seconds);
            }
        }
        break;
}
