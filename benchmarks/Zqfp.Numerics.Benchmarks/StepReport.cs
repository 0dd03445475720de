using System.Globalization;

namespace Zqfp.Numerics.Benchmarks;

/// <summary>
/// What each step of quantizing a square layer takes, by the process's own time, which other work on the machine disturbs little: recipes
/// by turns, a step being what a recipe takes more than the one without it.
/// </summary>
internal static class StepReport
{
    public static void Run(int size, int rounds)
    {
        using var matMul = new OrtMatMul(size, Environment.ProcessorCount);
        using Hessian hessian = SyntheticLayer.Hessian(size, 2);
        float[] weights = SyntheticLayer.Uniform(size * size, 1);
        Action Quantize(QuantizationOptions options) => () => LayerQuantizer.Quantize(
            weights, size, size, options.Method == QuantizationMethod.Rtn ? null : hessian, options);
        var gptq = new QuantizationOptions { Rank = 0 };
        (string Name, int Less, Action Run)[] recipes =
        [
            ("ONNX Runtime's MatMul of that size", -1, matMul.Run),
            ("RTN", -1, Quantize(new QuantizationOptions { Method = QuantizationMethod.Rtn, Rank = 0 })),
            ("GPTQ", -1, Quantize(gptq)),
            ("scale search, by pivots", 2, Quantize(new QuantizationOptions { Rank = 0, ScaleSearch = ScaleSearch.Pivot })),
            ("a sweep of refinement", 2, Quantize(new QuantizationOptions { Rank = 0, RefineSweeps = 1 })),
            ("LoRC of rank 8", 2, Quantize(new QuantizationOptions())),
            ("LoRC of rank 8, weighted", 2, Quantize(new QuantizationOptions { LowRankWeighting = LowRankWeighting.ActivationWeighted })),
        ];
        double[][] times = [.. recipes.Select(_ => new double[rounds])];
        for (int round = -1; round < rounds; round++)
        {
            for (int i = 0; i < recipes.Length; i++)
            {
                TimeSpan start = Environment.CpuUsage.TotalTime;
                recipes[i].Run();
                double taken = (Environment.CpuUsage.TotalTime - start).TotalSeconds;
                if (round >= 0)
                {
                    times[i][round] = taken;
                }
            }
        }

        Console.WriteLine($"| {size} x {size} | seconds | times MatMul |");
        Console.WriteLine("|:--|--:|--:|");
        for (int i = 0; i < recipes.Length; i++)
        {
            double[] step = recipes[i].Less < 0 ? times[i] : [.. times[i].Zip(times[recipes[i].Less], (with, without) => with - without)];
            double ratio = Median(step.Zip(times[0], (one, other) => one / other));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {recipes[i].Name} | {Median(step):0.000} | {ratio:0.00} |"));
        }
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
