using System.Globalization;
using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>
/// What a decoder layer of LLaMA-7B's shape computes with our operators, kernel behind kernel as in a model, without attention: norm,
/// q/k/v, quantization, o, norm, gate and up, gate, down.
/// </summary>
internal sealed class Chain : IDisposable
{
    private const int Hidden = 4096, Inner = 11008, Layers = 8;

    // Rows, columns, and what makes the product's tokens.
    private static readonly (int Rows, int Columns, TokenSource Source)[] Products =
    [
        (3 * Hidden, Hidden, TokenSource.RmsNorm), (Hidden, Hidden, TokenSource.Input), (2 * Inner, Hidden, TokenSource.RmsNorm),
        (Hidden, Inner, TokenSource.GatedSilu),
    ];

    private readonly Bench _bench;
    private readonly int _rank;
    private readonly bool _inside;
    private readonly DeviceWeight[][] _weights;
    private readonly DeviceFactor?[] _factors;
    private readonly List<DeviceMemory> _owned = [];

    /// <summary>Makes the weights.</summary>
    /// <param name="bench">The device.</param>
    /// <param name="rankA">Rows of A.</param>
    /// <param name="rank">Columns of B.</param>
    /// <param name="inside">Whether products take A x themselves, and not what quantizes their tokens.</param>
    public Chain(Bench bench, int rankA, int rank, bool inside)
    {
        _bench = bench;
        _rank = rank;
        _inside = inside;
        _weights = new DeviceWeight[Products.Length][];
        _factors = new DeviceFactor?[Products.Length];
        for (int i = 0; i < Products.Length; i++)
        {
            (int rows, int columns, _) = Products[i];
            Problem problem = new(rows, columns, 256, seed: i, rank);
            WeightData data = inside || rank == 0 ? problem.Data : problem.Data with { LowRankA = default };
            Half[] factor = Array.ConvertAll(Problem.RandomTokens(rankA, columns, seed: i), value => (Half)value);
            _factors[i] = inside || rankA == 0 ? null : new DeviceFactor(DeviceMemory.From<Half>(bench.Context, factor), rankA);
            _weights[i] = new DeviceWeight[Layers];
            _weights[i][0] = DeviceWeight.Create(bench.Context, data);
            for (int layer = 1; layer < Layers; layer++)
            {
                _weights[i][layer] = _weights[i][0].Copy(bench.Context);
            }
        }
    }

    /// <summary>Prints what a layer takes, and what it takes with other tiles and shapes, each in place of one of the usual ones.</summary>
    public static void Report(Bench bench, TextWriter report, bool sweep)
    {
        report.WriteLine("| tokens | no branch | rank 8 | its A x alone | its B (A x) alone | rank 8, A x in the product |");
        report.WriteLine("|--:|--:|--:|--:|--:|--:|");
        foreach (int tokens in (int[])[1, 4, 16, 32, 64, 128, 256, 2048])
        {
            var times = new List<string>();
            foreach ((int rankA, int rankB, bool inside) in
                ((int, int, bool)[])[(0, 0, false), (8, 8, false), (8, 0, false), (0, 8, false), (8, 8, true)])
            {
                using Chain chain = new(bench, rankA, rankB, inside);
                times.Add(Text(chain.Microseconds(tokens)));
            }

            report.WriteLine($"| {tokens} | {string.Join(" | ", times)} |");
            report.Flush();
        }

        report.WriteLine();
        report.WriteLine("| tokens | what is quantized | 256 threads a token | 512 | 1024 |");
        report.WriteLine("|--:|---|--:|--:|--:|");
        using (Chain chain = new(bench, 0, 0, false))
        {
            foreach (int tokens in (int[])[1, 16])
            {
                for (int i = 0; i < Products.Length; i++)
                {
                    IEnumerable<string> times = ((int[])[256, 512, 1024]).Select(threads =>
                        Text(chain.Microseconds(tokens, i, null, threads)));
                    report.WriteLine($"| {tokens} | {Products[i].Source} of {Products[i].Columns} | {string.Join(" | ", times)} |");
                }

                report.Flush();
            }
        }

        report.WriteLine();
        report.WriteLine("| tokens | A x by 1 rank a block | 2 | 4 | 8 | by a kernel of its own |");
        report.WriteLine("|--:|--:|--:|--:|--:|--:|");
        using (Chain chain = new(bench, 8, 8, false))
        {
            foreach (int tokens in (int[])[1, 4, 8, 16, 32, 64, 128, 256])
            {
                IEnumerable<string> times = ((int[])[1, 2, 4, 8, 0]).Select(ranks => Text(chain.Microseconds(tokens, ranks: ranks)));
                report.WriteLine($"| {tokens} | {string.Join(" | ", times)} |");
                report.Flush();
            }
        }

        report.WriteLine();
        if (!sweep)
        {
            return;
        }

        foreach (int tokens in (int[])[1, 16])
        {
            using Chain chain = new(bench, 0, 0, false);
            chain.Sweep(tokens, report);
        }
    }

    public void Dispose()
    {
        foreach (IDisposable? one in _weights.SelectMany(copies => copies).Concat<IDisposable?>(_factors).Concat(_owned))
        {
            one?.Dispose();
        }
    }

    private static string Text(double number) => number.ToString("F2", CultureInfo.InvariantCulture);

    private void Sweep(int tokens, TextWriter report)
    {
        report.WriteLine($"{tokens} tokens, as it is: {Text(Microseconds(tokens))} us a layer");
        for (int product = 0; product < Products.Length; product++)
        {
            PackedLayout layout = _weights[product][0].Layout;
            GemmTile usual = GemmTuning.Choose(_bench.Context, layout, tokens);
            GemmTile[] tiles =
            [
                .. from cluster in (int[])[1, 2, 3, 4, 6, 8]
                   from blocks in (int[])[1, 2, 3, 4, 5]
                   from most in (int[])[2, 3, 4, 6, 8]
                   let tile = new GemmTile(usual.Tokens, 1, cluster, 1, blocks, cluster == 1 && layout.RowBlocks > 132 * blocks)
                       .WithDeepestRing(layout, _bench.Context.SharedMemoryPerBlock, most)
                   where tile.Stages > 1
                   select tile,
            ];
            tiles = [.. tiles.Distinct()];
            Parallel.ForEach(tiles, tile =>
            {
                try
                {
                    _bench.Compiler.Compile(
                        "w4a8_gemm.cu", HopperKernels.GemmDefinitions(layout, 0, false, ElementKind.Float16, tile, projects: false));
                }
                catch (ZqfpException)
                {
                    // Reported by the tile's absence.
                }
            });
            foreach ((GemmTile tile, double time) in tiles.Select(tile => (tile, Microseconds(tokens, product, tile)))
                .OrderBy(pair => pair.Item2).Take(6))
            {
                report.WriteLine($"  {Products[product].Rows}x{Products[product].Columns}: {Text(time)} with cluster {tile.Cluster} "
                    + $"stages {tile.Stages} blocks/sm {tile.BlocksPerMultiprocessor} {(tile.Persistent ? "persistent" : "")}"
                    + (tile == usual ? " (usual)" : ""));
            }

            report.Flush();
        }
    }

    /// <summary>Microseconds of a layer.</summary>
    private double Microseconds(int tokens, int changed = -1, GemmTile? tile = null, int threads = 0, int? ranks = null)
    {
        CudaContext context = _bench.Context;
        nint stream = _bench.Stream.Handle;
        DeviceMemory Memory(long bytes)
        {
            var memory = new DeviceMemory(context, bytes);
            memory.Fill(0, stream);
            return memory;
        }

        using DeviceMemory residual = Memory((long)tokens * Hidden * 2), sum = Memory((long)tokens * Hidden * 2);
        using DeviceMemory gain = DeviceMemory.From<Half>(context, [.. Enumerable.Repeat((Half)1, Hidden)]);
        using DeviceMemory codes = Memory((long)tokens * Inner), scales = Memory(tokens * 4L), low = Memory((long)tokens * 64 * 4);
        using DeviceMemory scratch = Memory(Projection.Bytes(Inner, Math.Max(8, _rank)));
        DeviceMemory[] outputs = [.. Products.Select(product => Memory((long)tokens * product.Rows * 2))];
        Checks.Upload(outputs[3], Problem.RandomTokens(tokens, Hidden, seed: 1), ElementKind.Float16);
        try
        {
            TokenQuantization[] quantizations =
            [
                .. Products.Select((product, i) => new TokenQuantization(
                    _bench.Kernels, ElementKind.Float16, product.Columns, 0, product.Source, _factors[i],
                    i == changed && threads > 0 ? QuantizationShape.WithThreads(product.Columns, threads) : null, ranks))
            ];
            GemmPlan[][] plans =
            [
                .. Products.Select((_, i) => _weights[i].Select(weight => _bench.Kernels.PlanProduct(weight, ElementKind.Float16,
                    i == changed && tile is { } other ? other : GemmTuning.Choose(context, weight.Layout, tokens, _rank))).ToArray())
            ];
            var batch = new DeviceTokens(tokens, codes.Address, scales.Address, low.Address);
            bool projects = _inside && Projection.CanServe(tokens, _rank);
            return _bench.Microseconds(Layers, layer =>
            {
                for (int i = 0; i < Products.Length; i++)
                {
                    ulong input = outputs[(i + Products.Length - 1) % Products.Length].Address;
                    var more = new SourceArguments
                    {
                        Second = Products[i].Source switch
                        {
                            TokenSource.RmsNorm => residual.Address,
                            TokenSource.GatedSilu => input + (2UL * Inner),
                            _ => 0,
                        },
                        Gain = Products[i].Source == TokenSource.RmsNorm ? gain.Address : 0,
                        Sum = Products[i].Source == TokenSource.RmsNorm ? sum.Address : 0,
                        Stride = Products[i].Source == TokenSource.GatedSilu ? 2 * Inner : 0,
                        Epsilon = 1e-5f,
                        Constants = 1,
                    };
                    quantizations[i].Launch(stream, input, batch, more);
                    plans[i][layer].Launch(
                        stream, projects ? batch with { Projection = scratch.Address } : batch, outputs[i].Address, overlap: true);
                }
            });
        }
        catch (ZqfpException e) when (e.Code == "ZQFP4105")
        {
            return double.PositiveInfinity;
        }
        finally
        {
            Array.ForEach(outputs, memory => memory.Dispose());
        }
    }
}
