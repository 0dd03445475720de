using BenchmarkDotNet.Running;
using Zqfp.Numerics.Benchmarks;

if (args.Length > 0 && args[0] == "ratios")
{
    RatioReport.Run(args.Length > 1 ? int.Parse(args[1]) : 5);
}
else if (args.Length > 0 && args[0] == "steps")
{
    StepReport.Run(args.Length > 1 ? int.Parse(args[1]) : 4096, args.Length > 2 ? int.Parse(args[2]) : 3);
}
else if (args.Length > 0 && args[0] == "products")
{
    ProductReport.Run(args.Length > 1 ? int.Parse(args[1]) : 5);
}
else
{
    BenchmarkSwitcher.FromAssembly(typeof(RatioReport).Assembly).Run(args);
}
