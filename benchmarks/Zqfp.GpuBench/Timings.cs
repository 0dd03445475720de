using System.Globalization;
using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>The tables of docs/hopper.md.</summary>
internal sealed class Timings(Bench bench, TextWriter report)
{
    private static readonly (int Rows, int Columns)[] Shapes =
        [(12288, 4096), (22016, 4096), (4096, 11008), (13824, 5120), (5120, 13824), (8192, 8192)];

    /// <summary>All shapes and token counts against the library.</summary>
    public void Table(double bandwidth, bool brief)
    {
        report.WriteLine("| N x K | M | fp16 | fp8 | fp8 row | fused | % of read bw | expanded | quantize | quantize+fused | "
            + "fp16 / ours | fp8 / ours | fp8 row / ours |");
        report.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
        foreach ((int rows, int columns) in brief ? Shapes[1..2] : Shapes)
        {
            using Layer layer = new(bench, rows, columns);
            foreach (int tokens in (int[])[1, 16, 64, 128, 256, 512, 2048, 8192])
            {
                using Batch batch = NewBatch(layer, tokens, 0);
                double half = layer.Library(ProductKind.Half, batch);
                double fp8 = layer.Library(ProductKind.Fp8PerTensor, batch);
                double row = layer.Library(ProductKind.Fp8RowWise, batch);
                GemmTile tile = GemmTuning.Choose(bench.Context, layer.Layout, tokens);
                double fused = layer.Fused(batch, tile) ?? double.NaN;
                double expanded = tokens >= 64
                    ? layer.Dense(batch, DenseTuning.Choose(bench.Context.Multiprocessors, rows, columns, tokens))
                    : double.NaN;
                double ours = double.IsNaN(expanded) ? fused : Math.Min(fused, expanded);
                double quantize = layer.Quantize(batch);
                double both = layer.Operator(batch, tile);
                double share = layer.Layout.Bytes / (fused * 1e-6) / bandwidth * 100;
                Row($"{rows}x{columns}", tokens, half, fp8, row, fused, share, expanded, quantize, both, half / ours,
                    fp8 / ours, row / ours);
            }
        }

        report.WriteLine();
    }

    /// <summary>What group scales and the low-rank branch cost.</summary>
    public void Ablations()
    {
        report.WriteLine("| N x K | M | M2, g256 | M2, g128 | M2, g32 | float scales, g256 | float scales, g128 | rank 8 | rank 64 | op, "
            + "no branch | op, rank 8 | op, rank 64 |");
        report.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|---|");
        foreach ((int rows, int columns) in ((int, int)[])[(22016, 4096), (5120, 13824)])
        {
            foreach (int tokens in (int[])[1, 16, 64])
            {
                (double g256, double op) = Time(rows, columns, tokens, 256, 0, false);
                (double g128, _) = Time(rows, columns, tokens, 128, 0, false);
                (double g32, _) = Time(rows, columns, tokens, 32, 0, false);
                (double f256, _) = Time(rows, columns, tokens, 256, 0, true);
                (double f128, _) = Time(rows, columns, tokens, 128, 0, true);
                (double r8, double op8) = Time(rows, columns, tokens, 256, 8, false);
                (double r64, double op64) = Time(rows, columns, tokens, 256, 64, false);
                Row($"{rows}x{columns}", tokens, g256, g128, g32, f256, f128, r8, r64, op, op8, op64);
            }
        }

        report.WriteLine();
    }

    /// <summary>Every tile on all shapes, or on those named as NxK with commas between; best first.</summary>
    public void Sweep(int width, int tokens, string? shape)
    {
        List<GemmTile> tiles = [];
        foreach (int warpgroups in (int[])[1, 2])
        {
            foreach (int cluster in (int[])[1, 2, 3, 4, 6])
            {
                foreach (int blocks in (int[])[1, 2, 3, 4, 5])
                {
                    foreach (int stages in (int[])[2, 3, 4, 6, 8, 12])
                    {
                        int registers = width switch { >= 128 => 168, 64 => 136, _ => 80 };
                        int warps = width >= 128 ? 4 * (warpgroups + 1) : (4 * warpgroups) + 1;
                        if (warps * blocks * 32 * registers <= 65536 + 4096)
                        {
                            tiles.Add(new(width, warpgroups, cluster, stages, blocks, false));
                            if (cluster == 1)
                            {
                                tiles.Add(new(width, warpgroups, cluster, stages, blocks, true));
                            }
                        }
                    }
                }
            }
        }

        foreach ((int rows, int columns) in Shapes.Where(one => shape is null || shape.Split(',').Contains($"{one.Rows}x{one.Columns}")))
        {
            using Layer layer = new(bench, rows, columns, library: false);
            using Batch batch = NewBatch(layer, tokens, 0);
            // The deepest ring that fits, and the next shallower ones, which leave room for the following launch.
            GemmTile[] fitted =
            [
                .. tiles.Where(
                    t => (t.SharedBytes(layer.Layout) + 2048) * t.BlocksPerMultiprocessor <= bench.Context.SharedMemoryPerBlock + 1024)
                    .GroupBy(t => t with { Stages = 0 }).SelectMany(g => g.OrderByDescending(t => t.Stages).Take(3)),
            ];
            Precompile(layer, fitted);
            var results = fitted.Select(t => (Tile: t, Time: layer.Fused(batch, t)))
                .Where(r => r.Time is not null)
                .OrderBy(r => r.Time)
                .ToArray();
            report.WriteLine($"{rows}x{columns} M={tokens}, tiles of {width} tokens:");
            foreach ((GemmTile tile, double? time) in results.Take(7))
            {
                report.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"  {time,8:F2} us  wg {tile.Warpgroups} cluster {tile.Cluster} stages {tile.Stages} blocks/sm "
                    + $"{tile.BlocksPerMultiprocessor} {(tile.Persistent ? "persistent" : "")}"));
            }

            if (results.Length > 0)
            {
                report.WriteLine(string.Create(
                    CultureInfo.InvariantCulture, $"  best without overlap: {layer.Fused(batch, results[0].Tile, overlap: false):F2} us"));
            }

            report.Flush();
        }
    }

    /// <summary>Every tile of the product with expanded weights, beside the library's.</summary>
    public void DenseSweep()
    {
        foreach ((int rows, int columns) in Shapes)
        {
            using Layer layer = new(bench, rows, columns);
            foreach (int tokens in (int[])[1, 16, 128, 256, 512, 2048])
            {
                using Batch batch = NewBatch(layer, tokens, 0);
                DenseTile chosen = DenseTuning.Choose(bench.Context.Multiprocessors, rows, columns, tokens);
                // In turns: a device that has just worked hard is slower.
                const int Rounds = 5;
                List<double> library = [];
                var times = DenseTuning.All.ToDictionary(tile => tile, _ => new List<double>());
                for (int round = 0; round < Rounds; round++)
                {
                    library.Add(layer.Library(ProductKind.Fp8RowWise, batch));
                    foreach ((DenseTile tile, List<double> taken) in times)
                    {
                        taken.Add(layer.Dense(batch, tile));
                    }
                }

                string all = string.Join(", ", times.OrderBy(one => Median(one.Value)).Take(6).Select(one => string.Create(
                    CultureInfo.InvariantCulture, $"{(one.Key == chosen ? "*" : "")}{one.Key.Features} {Median(one.Value):F1}")));
                report.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{rows}x{columns} M={tokens}: library {Median(library):F1}, chosen {Median(times[chosen]):F1}; {all}"));
                report.Flush();
            }
        }
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private void Precompile(Layer layer, GemmTile[] tiles) => Parallel.ForEach(tiles, tile =>
    {
        try
        {
            bench.Compiler.Compile(
                "w4a8_gemm.cu", HopperKernels.GemmDefinitions(layer.Layout, 0, false, ElementKind.Float16, tile, projects: false));
        }
        catch (ZqfpException)
        {
            // Reported by the tile's absence from the table.
        }
    });

    private (double Fused, double Operator) Time(int rows, int columns, int tokens, int group, int rank, bool floats)
    {
        using Layer layer = new(bench, rows, columns, group, rank, floats, library: false);
        using Batch batch = NewBatch(layer, tokens, (rank + 7) / 8 * 8);
        GemmTile tile = GemmTuning.Choose(bench.Context, layer.Layout, tokens, (rank + 7) / 8 * 8);
        return (layer.Fused(batch, tile) ?? double.NaN, layer.Operator(batch, tile));
    }

    private Batch NewBatch(Layer layer, int tokens, int rank)
    {
        Batch batch = new(bench.Context, tokens, layer.Columns, layer.Rows, rank);
        Checks.Upload(batch.Input, Problem.RandomTokens(tokens, layer.Columns, seed: tokens), ElementKind.Float16);
        bench.Kernels.QuantizeTokens(bench.Stream.Handle, batch.Input.Address, ElementKind.Float16, layer.Columns, batch.Tokens);
        bench.Stream.Synchronize();
        return batch;
    }

    private void Row(string shape, int tokens, params double[] values)
    {
        string cells = string.Join(
            " | ", values.Select(v => double.IsNaN(v) ? "-" : v.ToString(v >= 100 ? "F1" : "F2", CultureInfo.InvariantCulture)));
        report.WriteLine($"| {shape} | {tokens} | {cells} |");
        report.Flush();
    }
}
