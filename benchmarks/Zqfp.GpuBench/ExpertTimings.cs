using System.Globalization;
using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>The tables of docs/hopper.md about products for experts.</summary>
/// <param name="bench">The device.</param>
/// <param name="report">Where the tables go.</param>
/// <param name="bandwidth">Bytes a second that the device reads at.</param>
/// <param name="library">Whether dequantize-and-multiply is timed too.</param>
internal sealed class ExpertTimings(Bench bench, TextWriter report, double bandwidth, bool library)
{
    private const int MostTokens = 64;

    private static readonly int[] TokensOfExpert = [1, 2, 4, 8, 16, 32, 64];

    private readonly Dictionary<int, GroupedTile> _best = [];

    /// <summary>All tables, or the first alone; with a sweep of tiles first, whose best the tables then take.</summary>
    public void Tables(bool sweep, bool brief)
    {
        if (sweep)
        {
            Sweep();
        }

        foreach ((int experts, int rows, int columns) in ((int, int, int)[])[(64, 2048, 4096), (256, 2048, 4096), (256, 4096, 2048)])
        {
            using ExpertSet set = new(bench, experts, rows, columns, 256, experts * MostTokens);
            ByTokens(set);
            if (brief)
            {
                return;
            }

            if (experts == 256 && rows < columns)
            {
                Routed(set);
                Steps(set);
            }
        }

        foreach (int rank in library ? (int[])[8, 64] : [])
        {
            using ExpertSet set = new(bench, 64, 2048, 4096, 256, 64 * MostTokens, rank);
            Ranks(set, rank);
        }
    }

    private void ByTokens(ExpertSet set)
    {
        report.WriteLine($"{set.Count} experts of {set.Rows}x{set.Columns}, microseconds");
        report.WriteLine();
        report.WriteLine("| tokens an expert | us | % of read bw | items of 8 | 16 | 32 | 64 | sort | expand | + library, expert by expert "
            + "| + library, all at once | best of these / ours |");
        report.WriteLine("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
        using ExpandedExperts expanded = new(bench, set);
        double expansion = expanded.Expansion();
        foreach (int tokens in TokensOfExpert)
        {
            int count = tokens * set.Count;
            using Batch batch = NewBatch(count, set);
            using DeviceMemory index = Even(count, tokens);
            (double ours, double[] widths) = InTurns(set, batch, index, count);
            double sort = Sort(set, index, count);
            double one = library ? expanded.OneByOne(batch, tokens) : double.NaN;
            double all = library ? expanded.AllAtOnce(batch, tokens) : double.NaN;
            double share = set.Count * set.Packed.Layout.Bytes / (ours * 1e-6) / bandwidth * 100;
            Row($"{tokens}", [ours, share, .. widths, sort, expansion, one, all, (all < one ? all : one) / ours]);
        }

        report.WriteLine();
    }

    /// <summary>As a router sends tokens: at random.</summary>
    private void Routed(ExpertSet set)
    {
        report.WriteLine($"{set.Count} experts of {set.Rows}x{set.Columns}, rows at random; % counts the experts that have any");
        report.WriteLine();
        report.WriteLine("| rows an expert | us | % of read bw | items of 8 | 16 | 32 | 64 |");
        report.WriteLine("|--:|--:|--:|--:|--:|--:|--:|");
        foreach (int tokens in (int[])[1, 4, 8, 16, 32, 64])
        {
            int count = tokens * set.Count;
            Random random = new(tokens);
            long[] index = [.. Enumerable.Range(0, count).Select(_ => (long)random.Next(set.Count))];
            using Batch batch = NewBatch(count, set);
            using DeviceMemory onDevice = DeviceMemory.From<long>(bench.Context, index);
            (double ours, double[] widths) = InTurns(set, batch, onDevice, count);
            double share = index.Distinct().Count() * set.Packed.Layout.Bytes / (ours * 1e-6) / bandwidth * 100;
            Row($"{tokens}", [ours, share, .. widths]);
        }

        report.WriteLine();
    }

    /// <summary>Steps of decoding: other experts in each, so that none is in the cache.</summary>
    private void Steps(ExpertSet set)
    {
        const int Calls = 64;
        report.WriteLine($"decoding, {set.Count} experts of {set.Rows}x{set.Columns}");
        report.WriteLine();
        report.WriteLine("| tokens x experts a token | experts read | us | % of read bw | dequantize-and-multiply | / ours |");
        report.WriteLine("|--:|--:|--:|--:|--:|--:|");
        using ExpandedExperts expanded = new(bench, set);
        foreach ((int tokens, int perToken) in ((int, int)[])[(1, 6), (1, 8), (4, 6), (16, 6), (64, 6)])
        {
            int count = tokens * perToken;
            Random random = new(count);
            int[] all = [.. Enumerable.Range(0, set.Count)];
            int[][] chosen = [.. Enumerable.Range(0, Calls).Select(_ => (int[])[.. Enumerable.Range(0, tokens).SelectMany(_ =>
            {
                random.Shuffle(all);
                return all.Take(perToken).ToArray();
            })])];
            using Batch batch = NewBatch(count, set);
            using DeviceMemory index = DeviceMemory.From<long>(
                bench.Context, [.. chosen.SelectMany(experts => experts.Select(e => (long)e))]);
            GroupedPlan plan = set.Packed.Plan(Usual(set, count));
            double time = bench.Microseconds(Calls, i =>
                set.Multiply(batch, index.Address + ((ulong)i * (ulong)count * sizeof(long)), count, batch.Output.Address, plan));
            double read = chosen.Average(experts => experts.Distinct().Count());
            double other = library && tokens == 1 ? expanded.Chosen(chosen) : double.NaN;
            double share = read * set.Packed.Layout.Bytes / (time * 1e-6) / bandwidth * 100;
            Row($"{tokens} x {perToken}", read, time, share, other, other / time);
        }

        report.WriteLine();
    }

    private void Ranks(ExpertSet set, int rank)
    {
        report.WriteLine($"{set.Count} experts of {set.Rows}x{set.Columns} with a branch of rank {rank}, microseconds");
        report.WriteLine();
        report.WriteLine("| tokens an expert | items of 8 | 16 | 32 | 64 |");
        report.WriteLine("|--:|--:|--:|--:|--:|");
        foreach (int tokens in TokensOfExpert)
        {
            int count = tokens * set.Count;
            using Batch batch = NewBatch(count, set);
            using DeviceMemory index = Even(count, tokens);
            Row($"{tokens}", InTurns(set, batch, index, count).Widths);
        }

        report.WriteLine();
    }

    /// <summary>Tiles of each width, with as many tokens an expert, best first.</summary>
    private void Sweep()
    {
        const int Experts = 64, Rows = 2048, Columns = 4096;
        using ExpertSet set = new(bench, Experts, Rows, Columns, 256, Experts * MostTokens);
        foreach (int width in GroupedTuning.Widths)
        {
            GroupedTile[] tiles =
            [
                .. from warpgroups in (int[])[1, 2]
                   from copyWarps in (int[])[1, 2, 3, 4, 5, 7]
                   from blocks in (int[])[1, 2, 3]
                   where ((4 * warpgroups) + copyWarps + 1) * blocks <= (width == 64 ? 16 : 24) && copyWarps <= width / 8
                       && warpgroups * blocks > 1 && (width < 64 || copyWarps > 3)
                   select set.Fit(new GroupedTile(width, warpgroups, copyWarps, 1, blocks)),
            ];
            Parallel.ForEach(tiles, tile => Compiled(set, tile));
            int count = width * Experts;
            using Batch batch = NewBatch(count, set);
            using DeviceMemory index = Even(count, width);
            (GroupedTile Tile, double Time)[] times =
            [
                .. tiles.Where(tile => Compiled(set, tile)).Select(tile => (tile, Time(set, batch, index, count, tile)))
                    .OrderBy(one => one.Item2),
            ];
            foreach ((GroupedTile tile, double time) in times.Take(7))
            {
                report.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"  width {width}: {time:F1} us, {tile.Warpgroups} warpgroups, {tile.CopyWarps} copying, {tile.Stages} stages, "
                    + $"{tile.BlocksPerMultiprocessor} blocks{(tile == set.Tile(width) ? " (usual)" : "")}"));
            }

            _best[width] = times[0].Tile;
            report.Flush();
        }

        report.WriteLine();
    }

    /// <summary>As many rows of each expert, one expert behind another.</summary>
    private DeviceMemory Even(int count, int tokens) =>
        DeviceMemory.From<long>(bench.Context, [.. Enumerable.Range(0, count).Select(i => (long)(i / tokens))]);

    private bool Compiled(ExpertSet set, GroupedTile tile)
    {
        try
        {
            bench.Compiler.Compile("grouped_gemm.cu", tile.Definitions(set.Packed.Layout, 0, false, ElementKind.Float16));
            return true;
        }
        catch (ZqfpException)
        {
            return false;
        }
    }

    /// <summary>Medians of every width, in turns since a device that has just worked hard is slower; and of the usual width.</summary>
    private (double Usual, double[] Widths) InTurns(ExpertSet set, Batch batch, DeviceMemory index, int count)
    {
        const int Rounds = 5;
        double[][] rounds =
        [
            .. Enumerable.Range(0, Rounds).Select(_ =>
                GroupedTuning.Widths.Select(width => Time(set, batch, index, count, Tile(set, width))).ToArray()),
        ];
        double[] medians =
        [
            .. Enumerable.Range(0, GroupedTuning.Widths.Count).Select(i => rounds.Select(times => times[i]).Order().ElementAt(Rounds / 2)),
        ];
        int usual = GroupedTuning.WidthOf(count, set.Count);
        return (medians[GroupedTuning.Widths.Index().First(one => one.Item == usual).Index], medians);
    }

    private GroupedTile Usual(ExpertSet set, int count) => Tile(set, GroupedTuning.WidthOf(count, set.Count));

    private GroupedTile Tile(ExpertSet set, int width) => _best.TryGetValue(width, out GroupedTile tile) ? set.Fit(tile) : set.Tile(width);

    private double Time(ExpertSet set, Batch batch, DeviceMemory index, int count, GroupedTile tile)
    {
        GroupedPlan plan = set.Packed.Plan(tile);
        return bench.Microseconds(4, _ => set.Multiply(batch, index.Address, count, batch.Output.Address, plan), samples: 5);
    }

    private double Sort(ExpertSet set, DeviceMemory index, int count)
    {
        SortedRows sorted = set.Packed.For(count).Sorted(count);
        if (!sorted.HaveKernel)
        {
            return double.NaN;
        }

        using DeviceMemory place = new(bench.Context, sorted.Bytes);
        CudaKernel kernel = bench.Kernels.Kernel(
            "sort_experts", "sort_experts.cu", SortedRows.SharedBytes(set.Count), [$"TOKENS={GroupedTuning.WidthOf(count, set.Count)}"]);
        return bench.Microseconds(8, _ => sorted.Launch(bench.Stream.Handle, kernel, index.Address, place.Address), samples: 5);
    }

    private Batch NewBatch(int count, ExpertSet set)
    {
        const int Repeated = 1 << 20;
        Batch batch = new(bench.Context, count, set.Columns, set.Rows, 0);
        byte[] codes = new byte[(long)count * set.Columns];
        byte[] random = new byte[Repeated];
        new Random(count).NextBytes(random);
        for (int i = 0; i < codes.Length; i++)
        {
            codes[i] = (byte)(random[i % Repeated] & 0xBF); // no NaN
        }

        batch.UploadCodes(codes, [.. Enumerable.Repeat(0.001f, count)]);
        return batch;
    }

    private void Row(string name, params double[] values)
    {
        string cells = string.Join(
            " | ", values.Select(v => double.IsNaN(v) ? "-" : v.ToString(v >= 100 ? "F0" : "F1", CultureInfo.InvariantCulture)));
        report.WriteLine($"| {name} | {cells} |");
        report.Flush();
    }
}
