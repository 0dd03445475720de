using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Zqfp;
using Zqfp.CudaOps;
using Zqfp.GpuBench;
using Zqfp.ModelBench;

// Usage: Zqfp.ModelBench [check] [compare] [genai] [--folder MODELS] [--layers 32] [--stored 2] [--models name,...] [--out FILE]
//        [--scenarios decode,prompt] [--rounds 3] [--library zqfp_ops.so]
// Models are written into the folder where they are not there. check needs no GPU; where there is one it compares it with the processor.
// genai writes folders for ONNX Runtime GenAI, small ones with --small, which Zqfp.GenAiBench measures.
string? Option(string name) => Array.IndexOf(args, name) is int i and >= 0 && i + 1 < args.Length ? args[i + 1] : null;
int Number(string name, int absent) => Option(name) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : absent;

string folder = Option("--folder") ?? Path.Combine(Path.GetTempPath(), "zqfp-models");
using StreamWriter report = new(Option("--out") ?? "models.md") { AutoFlush = true };
using TextWriter both = new Tee(Console.Out, report);
try
{
    using CudaContext? context = CudaContext.IsAvailable ? new CudaContext() : null;
    var domain = new OperatorDomain(LoadedOnnxRuntime.Find().Api, OperatorSets.WhatIsThere());
    Action<SessionOptions> operators = Option("--library") is { } library
        ? options => options.RegisterCustomOpLibrary(library)
        : options => options.Add(domain);
    both.WriteLine($"{context?.Name ?? "the processor"}, ONNX Runtime {LoadedOnnxRuntime.Find().Api.RuntimeVersion}, driver "
        + $"{context?.DriverVersion.ToString(CultureInfo.InvariantCulture) ?? "none"}");
    bool fits = true;
    if (args.Contains("check"))
    {
        Directory.CreateDirectory(Path.Combine(folder, "small"));
        fits = new ProcessorCheck(both, context, operators).Run(Path.Combine(folder, "small"));
    }

    if (args.Contains("genai"))
    {
        string[]? wanted = Option("--models")?.Split(',');
        DecoderShape written = args.Contains("--small")
            ? DecoderShape.Small
            : DecoderShape.Llama7B with { Layers = Number("--layers", 32) };
        foreach (WeightKind kind in WeightKind.All.Where(kind => wanted is null || wanted.Contains(kind.Name)))
        {
            GenAiFolder.Write(Path.Combine(folder, kind.Name), written, kind, Number("--stored", 2), Option("--library"));
        }
    }

    if (args.Contains("compare") && context is not null)
    {
        DecoderShape shape = DecoderShape.Llama7B with { Layers = Number("--layers", 32) };
        string[]? names = Option("--models")?.Split(',');
        string wanted = Option("--scenarios") ?? "decode,prompt";
        Scenario[] decode = [new(1, 1, 512, 1024), new(16, 1, 128, 1024), new(16, 1, 512, 1024)];
        Scenario[] prompts = [new(1, 256, 0, 1024), new(1, 2048, 0, 2304)];
        both.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{shape.Layers} layers, {shape.Weights / 1e9:F2} billion weights in them"));
        Directory.CreateDirectory(folder);
        new Comparison(both, context, operators, Number("--rounds", 3)).Run(
            folder, shape, Number("--stored", 2), [.. WeightKind.All.Where(kind => names is null || names.Contains(kind.Name))],
            [
                .. wanted.Contains("decode", StringComparison.Ordinal) ? decode : [],
                .. wanted.Contains("prompt", StringComparison.Ordinal) ? prompts : [],
            ]);
    }

    return fits ? 0 : 1;
}
catch (ZqfpException e)
{
    Console.Error.WriteLine($"{e.Code}: {e.Message}");
    return 2;
}
