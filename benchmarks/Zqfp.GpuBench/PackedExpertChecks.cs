using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>The product of packed experts in one launch against float64: all widths, any routing, the same bits on every run.</summary>
internal sealed class PackedExpertChecks(Bench bench)
{
    private sealed record Shape(
        int Experts, int Tokens, int PerToken, int Rows, int Columns, int Group, int Rank = 0, bool Bias = false, bool Floats = false,
        bool All = false, ElementKind Output = ElementKind.Float32);

    private static readonly Shape[] Shapes =
    [
        new(4, 5, 2, 96, 160, 32, 8, Bias: true), new(3, 40, 1, 64, 272, 128, 3), new(8, 75, 3, 200, 528, 256, 8, Bias: true),
        new(5, 200, 1, 130, 1024, 256, 64, Bias: true, Floats: true), new(16, 33, 2, 320, 2064, 64),
        new(1, 300, 1, 64, 256, 256, Bias: true),
        new(300, 64, 1, 192, 512, 256, 8), new(6, 32, 1, 129, 512, 128, 16, Bias: true, Floats: true), new(2, 4, 1, 33, 64, 32),
        new(7, 250, 2, 256, 768, 256, All: true), new(9, 1, 8, 512, 4096, 256, 8, Output: ElementKind.Float16),
        new(1024, 500, 6, 64, 256, 256), new(12, 1, 1, 64, 3856, 512, 24, Bias: true), new(8, 1200, 8, 64, 256, 256, 8),
        new(SortedRows.MostExperts, 40, 8, 64, 256, 256, 8), new(SortedRows.MostExperts + 1, 5, 2, 64, 256, 256, 8),
    ];

    public void Run(Action<string, bool, string> report)
    {
        Precompile();
        foreach (Shape shape in Shapes)
        {
            try
            {
                Check(shape, report);
            }
            catch (ZqfpException e) when (e.Code == "ZQFP4105")
            {
                report($"packed {shape}", false, e.Message);
            }
        }
    }

    private void Check(Shape shape, Action<string, bool, string> report)
    {
        int count = shape.Tokens * shape.PerToken;
        using ExpertSet set = new(bench, shape.Experts, shape.Rows, shape.Columns, shape.Group, count, shape.Rank, shape.Bias,
            shape.Floats, shape.Output);
        (byte[] codes, float[] scales) = PlainLayer.Tokens(shape.Tokens, shape.Columns);
        using Batch batch = new(bench.Context, shape.Tokens, shape.Columns, shape.Rows, 0);
        batch.UploadCodes(codes, scales);
        long[] index = Index(shape, count);
        double[] expected = Expected(set, shape, index, codes, scales);
        using DeviceMemory onDevice = DeviceMemory.From<long>(bench.Context, index);
        foreach (int width in set.Experts.Packed is null ? [0] : GroupedTuning.Widths)
        {
            GroupedPlan? plan = set.Experts.Packed?.Plan(set.Tile(width));
            double[] first = Once(set, batch, onDevice, shape, count, plan);
            bool same = first.AsSpan().SequenceEqual(Once(set, batch, onDevice, shape, count, plan));
            (double error, int wrong) = Compare(first, expected);
            double limit = shape.Output == ElementKind.Float16 ? 6e-4 : 3e-4;
            report($"packed {shape} width {width}", error <= limit && wrong == 0 && same,
                $"{error:E1} from float64, {wrong} numbers where none should be or missing, same bits: {same}"
                + (error <= limit && wrong == 0 ? "" : Where(first, expected, shape)));
        }
    }

    /// <summary>On all cores, what the shapes need.</summary>
    private void Precompile() => Parallel.ForEach(
        Shapes.SelectMany(shape => GroupedTuning.Widths.Select(width => (Shape: shape, Width: width))),
        one =>
        {
            (Shape shape, int width) = one;
            PackedLayout layout = new(shape.Rows, shape.Columns, shape.Group, shape.Floats);
            GroupedTile tile = GroupedTuning.Choose(layout, width, bench.Context.SharedMemoryPerBlock);
            try
            {
                bench.Compiler.Compile("sort_experts.cu", $"TOKENS={width}");
                bench.Compiler.Compile("project_tiles.cu", $"TOKENS={width}");
                bench.Compiler.Compile("grouped_gemm.cu", tile.Definitions(layout, (shape.Rank + 7) / 8 * 8, shape.Bias, shape.Output));
            }
            catch (ZqfpException)
            {
                // Reported where it is run.
            }
        });

    private double[] Once(ExpertSet set, Batch batch, DeviceMemory index, Shape shape, int count, GroupedPlan? plan)
    {
        long values = (long)count * shape.Rows;
        int size = shape.Output == ElementKind.Float32 ? sizeof(float) : sizeof(ushort);
        using DeviceMemory output = new(bench.Context, values * size);
        output.Fill(0x7B, bench.Stream.Handle);
        set.Multiply(batch, index.Address, count, output.Address, plan);
        if (shape.Output == ElementKind.Float32)
        {
            float[] floats = new float[values];
            output.Download<float>(floats, bench.Stream.Handle);
            return Array.ConvertAll(floats, value => (double)value);
        }

        Half[] halves = new Half[values];
        output.Download<Half>(halves, bench.Stream.Handle);
        return Array.ConvertAll(halves, value => (double)value);
    }

    /// <summary>Random experts, the first often, from the end now and then, and where there are enough rows a few that are none.</summary>
    private static long[] Index(Shape shape, int count)
    {
        Random random = new(count);
        long[] index = [.. Enumerable.Range(0, count).Select(_ => (long)(random.Next(3) == 0 ? 0 : random.Next(shape.Experts)))];
        for (int i = 0; i < count; i++)
        {
            index[i] = shape.All ? shape.Experts - 1 : i % 5 == 0 ? index[i] - shape.Experts : index[i];
        }

        if (count > 3 && !shape.All)
        {
            (index[1], index[count / 2], index[^1]) = (shape.Experts, -shape.Experts - 1, 1L << 40);
        }

        return index;
    }

    private static double[] Expected(ExpertSet set, Shape shape, long[] index, byte[] codes, float[] scales)
    {
        double[][] all = [.. set.Problems.Select(problem => problem.Multiply(codes, scales))];
        double[] expected = new double[(long)index.Length * shape.Rows];
        for (int t = 0; t < index.Length; t++)
        {
            long expert = index[t] < 0 ? index[t] + shape.Experts : index[t];
            Span<double> row = expected.AsSpan(t * shape.Rows, shape.Rows);
            if (expert < 0 || expert >= shape.Experts)
            {
                row.Fill(double.NaN);
                continue;
            }

            all[expert % all.Length].AsSpan(t / shape.PerToken * shape.Rows, shape.Rows).CopyTo(row);
        }

        return expected;
    }

    private static (double Error, int Wrong) Compare(double[] y, double[] expected)
    {
        double error = 0, norm = 0;
        int wrong = 0;
        for (int i = 0; i < y.Length; i++)
        {
            if (double.IsNaN(y[i]) != double.IsNaN(expected[i]))
            {
                wrong++;
            }
            else if (!double.IsNaN(y[i]))
            {
                error += (y[i] - expected[i]) * (y[i] - expected[i]);
                norm += expected[i] * expected[i];
            }
        }

        return (Math.Sqrt(error / Math.Max(norm, double.Epsilon)), wrong);
    }

    /// <summary>The first few numbers that are far off, for whoever looks for the reason.</summary>
    private static string Where(double[] y, double[] expected, Shape shape)
    {
        double scale = Math.Sqrt(expected.Where(value => !double.IsNaN(value)).Average(value => value * value));
        int[] far =
        [
            .. Enumerable.Range(0, y.Length).Where(i => double.IsNaN(y[i]) != double.IsNaN(expected[i])
                || Math.Abs(y[i] - expected[i]) > 0.01 * scale),
        ];
        return $"; {far.Length} of {y.Length} far off, in {far.Select(i => i / shape.Rows).Distinct().Count()} rows of Y: "
            + string.Join(", ", far.Take(5).Select(i => $"[{i / shape.Rows}, {i % shape.Rows}] {y[i]:G4} for {expected[i]:G4}"));
    }
}
