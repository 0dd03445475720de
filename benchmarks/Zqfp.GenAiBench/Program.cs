using System.Globalization;
using Microsoft.ML.OnnxRuntimeGenAI;
using Zqfp.GenAiBench;
using Zqfp.GpuBench;

// Usage: Zqfp.GenAiBench FOLDER... [--device cpu|cuda] [--no-graph] [--prompt 512] [--tokens 128] [--batch 1] [--rounds 3] [--out FILE]
// FOLDERs are written by Zqfp.ModelBench genai. All of them are loaded at once and take turns; the first is what others are compared with.
string? Option(string name) => Array.IndexOf(args, name) is int i and >= 0 && i + 1 < args.Length ? args[i + 1] : null;
int Number(string name, int absent) => Option(name) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : absent;

string[] folders = [.. args.TakeWhile(argument => !argument.StartsWith("--", StringComparison.Ordinal))];
string device = Option("--device") ?? "cpu";
bool graph = !args.Contains("--no-graph");
int length = Number("--prompt", 512), count = Number("--tokens", 128), batch = Number("--batch", 1), rounds = Number("--rounds", 3);
using StreamWriter report = new(Option("--out") ?? "genai.md") { AutoFlush = true };
using TextWriter both = new Tee(Console.Out, report);
using var handle = new OgaHandle();
List<Candidate> candidates = [];
foreach (string folder in folders)
{
    try
    {
        candidates.Add(new Candidate(folder, device, graph));
    }
    catch (OnnxRuntimeGenAIException e)
    {
        both.WriteLine($"{folder} does not load: {e.Message.ReplaceLineEndings(" ")}");
    }
}

var random = new Random(5);
int[] prompt = [.. Enumerable.Range(0, length).Select(_ => random.Next(2, 1000))];
Dictionary<Candidate, List<Generation>> runs = [];
for (int round = -1; round < rounds; round++)
{
    foreach (Candidate candidate in candidates)
    {
        Generation generation = candidate.Generate(prompt, batch, count, length + count);
        if (round < 0)
        {
            runs[candidate] = []; // The first call compiles, allocates and records.
        }
        else
        {
            runs[candidate].Add(generation);
        }
    }
}

both.WriteLine(string.Create(CultureInfo.InvariantCulture,
    $"GenAI on {device}{(device == "cpu" ? "" : graph ? ", CUDA graph" : ", node by node")}, batch {batch}, prompt of {length}, "
    + $"{count} tokens, medians of {rounds}"));
both.WriteLine();
both.WriteLine("| model | prompt, ms | ms a token | tokens/s | times the first | same tokens again |");
both.WriteLine("|---|--:|--:|--:|--:|---|");
double? first = null;
foreach ((Candidate candidate, List<Generation> all) in runs)
{
    double token = Median(all.Select(run => run.TokenSeconds / (run.Tokens.Length - 1)));
    first ??= token;
    bool same = all.All(run => run.Tokens.AsSpan().SequenceEqual(all[0].Tokens));
    both.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"| {candidate.Name} | {Median(all.Select(run => run.PromptSeconds)) * 1000:F2} | {token * 1000:F3} | {batch / token:F1} | "
        + $"{first.Value / token:F2} | {(same ? "yes" : "no")} |"));
}

candidates.ForEach(candidate => candidate.Dispose());

static double Median(IEnumerable<double> values)
{
    double[] sorted = [.. values.Order()];
    return sorted[sorted.Length / 2];
}
