using System.Globalization;
using Zqfp;
using Zqfp.CudaOps;
using Zqfp.GpuBench;

// Usage: Zqfp.GpuBench quantize [brief] [device-only] [--out FILE] [--cache FOLDER]
//        Zqfp.GpuBench [check] [rotation] [table] [brief] [ablations] [chain] [chain-sweep] [sweep] [dense-sweep] [dense] [experts]
//        [expert-sweep] [ours] [--tokens M] [--shape NxK,...] [--out FILE] [--cache FOLDER]
string? Option(string name) => Array.IndexOf(args, name) is int i and >= 0 && i + 1 < args.Length ? args[i + 1] : null;
bool Wanted(string name) => args.Contains(name);

string outputFile = Option("--out") ?? "hopper.md";
try
{
    if (Wanted("quantize"))
    {
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        using CudaLayerDevice device = CudaLayerDevice.Open(0, Option("--cache"));
        using StreamWriter lines = new(outputFile);
        using TextWriter tee = new Tee(Console.Out, lines);
        tee.WriteLine($"{device.Context.Name}, driver {device.Context.DriverVersion}, NVRTC {KernelCompiler.Version}, "
            + $"{Environment.ProcessorCount} processors");
        Quantizing quantizing = new(device, tee);
        quantizing.Check(Wanted("brief"));
        quantizing.Sequence();
        quantizing.Time(onProcessor: !Wanted("device-only"));
        tee.WriteLine(quantizing.Failures == 0 ? "all the same" : $"{quantizing.Failures} differ");
        return quantizing.Failures == 0 ? 0 : 1;
    }

    using Bench bench = new(Option("--cache"));
    using StreamWriter file = new(outputFile);
    using TextWriter report = new Tee(Console.Out, file);
    double bandwidth = Bandwidth.Measure(bench);
    report.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"{bench.Context.Name}, driver {bench.Context.DriverVersion}, NVRTC {KernelCompiler.Version}, cuBLASLt {bench.Library?.Version}, "
        + $"{bench.Context.Multiprocessors} SMs, reads {bandwidth / 1e12:F2} TB/s"));
    int failures = 0;
    if (Wanted("check"))
    {
        Checks checks = new(bench, report);
        checks.Run();
        failures = checks.Failures;
    }
    else if (Wanted("dense"))
    {
        Checks checks = new(bench, report);
        checks.RunDense();
        failures = checks.Failures;
    }
    else if (Wanted("experts"))
    {
        Checks checks = new(bench, report);
        checks.RunExperts();
        failures = checks.Failures;
    }
    else if (Wanted("rotation"))
    {
        Checks checks = new(bench, report);
        checks.RunRotation();
        failures = checks.Failures;
    }

    if (Wanted("rotation"))
    {
        new RotationChecks(bench).Time(report);
    }

    if (Wanted("experts"))
    {
        new ExpertTimings(bench, report, bandwidth, library: !Wanted("ours")).Tables(Wanted("expert-sweep"), Wanted("brief"));
    }

    Timings timings = new(bench, report);
    if (Wanted("sweep"))
    {
        foreach ((int width, int tokens) in ((int, int)[])[(8, 1), (16, 16), (32, 32), (64, 64), (64, 128), (128, 128),
            (128, 256), (128, 2048)])
        {
            if (Option("--tokens") is not { } chosen || chosen == tokens.ToString(CultureInfo.InvariantCulture))
            {
                timings.Sweep(width, tokens, Option("--shape"));
            }
        }
    }

    if (Wanted("dense-sweep"))
    {
        timings.DenseSweep();
    }

    if (Wanted("chain") || Wanted("chain-sweep"))
    {
        Chain.Report(bench, report, Wanted("chain-sweep"));
    }

    if (Wanted("table") || Wanted("brief"))
    {
        timings.Table(bandwidth, Wanted("brief"));
    }

    if (Wanted("ablations"))
    {
        timings.Ablations();
    }

    double total = bench.Kernels.Compilations.Sum(c => c.Compiled.Elapsed.TotalMilliseconds);
    report.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"{bench.Kernels.Compilations.Count} kernels, {bench.Kernels.Compilations.Count(c => c.Compiled.FromCache)} from the cache, "
        + $"{total:F0} ms in all"));
    return failures == 0 ? 0 : 1;
}
catch (ZqfpException e)
{
    Console.Error.WriteLine($"{e.Code}: {e.Message}");
    return 2;
}
