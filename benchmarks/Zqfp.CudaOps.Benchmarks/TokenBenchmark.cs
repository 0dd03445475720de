using System.Globalization;
using Zqfp.CudaOps;

namespace Zqfp.Benchmarks;

/// <summary>
/// Times the quantizing of tokens on one thread, with and without a rotation, by turns. What counts is the process's own time, so that
/// other work on the machine takes little from it.
/// </summary>
internal static unsafe class TokenBenchmark
{
    private const int Elements = 1 << 19;

    /// <param name="seconds">About how long to measure each length.</param>
    public static void Measure(double seconds)
    {
        int[] rotations = [0, 64, 128, 256];
        Console.WriteLine("| K | type | rotation | ns an element | best | times without |");
        Console.WriteLine("|--:|:--|--:|--:|--:|--:|");
        foreach (int columns in (int[])[768, 4096, 11008])
        {
            foreach (bool isHalf in (bool[])[false, true])
            {
                List<double>[] times = [.. rotations.Select(_ => new List<double>())];
                using NativeBuffer x = Values(columns, isHalf), place = new(columns * sizeof(float)), codes = new(columns);
                double spent = 0;
                for (int round = 0; round < 8 || spent < seconds; round++)
                {
                    for (int i = 0; i < rotations.Length; i++)
                    {
                        TimeSpan start = Environment.CpuUsage.TotalTime;
                        for (int run = 0; run < Elements / columns; run++)
                        {
                            TokenQuantizer.Quantize((nint)x.Bytes, isHalf, 0, rotations[i], place.Floats, codes.Bytes, columns);
                        }

                        double taken = (Environment.CpuUsage.TotalTime - start).TotalSeconds;
                        spent += taken;
                        if (round > 1)
                        {
                            times[i].Add(taken / (Elements / columns * columns) * 1e9);
                        }
                    }
                }

                for (int i = 0; i < rotations.Length; i++)
                {
                    Console.WriteLine(string.Create(
                        CultureInfo.InvariantCulture,
                        $"| {columns} | {(isHalf ? "float16" : "float")} | {rotations[i]} | {Statistics.Median(times[i]):0.000} | "
                        + $"{times[i].Min():0.000} | {1 / Statistics.Speedup(times[0], times[i]):0.00} |"));
                }
            }
        }
    }

    private static NativeBuffer Values(int count, bool isHalf)
    {
        var values = new NativeBuffer(count * sizeof(float));
        var random = new Random(1);
        for (int i = 0; i < count; i++)
        {
            float value = (float)random.NextDouble() - 0.5f;
            if (isHalf)
            {
                ((Half*)values.Bytes)[i] = (Half)value;
            }
            else
            {
                values.Floats[i] = value;
            }
        }

        return values;
    }
}
