using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>Copies of one layer in every format, enough of them that no launch finds its weights in the cache.</summary>
internal sealed class Layer : IDisposable
{
    private const long RotatedBytes = 400L << 20;

    private readonly Bench _bench;
    private readonly List<DeviceWeight> _packed = [];
    private readonly List<DeviceMemory> _half = [];
    private readonly List<DeviceMemory> _fp8 = [];
    private readonly DeviceMemory _expanded;

    public Layer(Bench bench, int rows, int columns, int group = 256, int rank = 0, bool floatScales = false, bool library = true)
    {
        _bench = bench;
        Problem problem = new(rows, columns, group, seed: rows ^ columns, rank, bias: false, floatScales);
        WeightData data = problem.Data;
        Rows = rows;
        Columns = columns;
        for (long bytes = 0; bytes < RotatedBytes; bytes += problem.Layout.Bytes)
        {
            _packed.Add(_packed.Count == 0 ? DeviceWeight.Create(bench.Context, data) : _packed[0].Copy(bench.Context));
        }

        _expanded = new DeviceMemory(bench.Context, (long)rows * columns);
        if (!library || floatScales)
        {
            return;
        }

        bench.Kernels.Expand(bench.Stream.Handle, _packed[0], _expanded.Address);
        for (long bytes = 0; bytes < RotatedBytes; bytes += (long)rows * columns)
        {
            DeviceMemory copy = new(bench.Context, (long)rows * columns);
            _expanded.CopyTo(copy, bench.Stream.Handle);
            _fp8.Add(copy);
        }

        Half[] values = new Half[(long)rows * columns];
        Parallel.For(0, rows, row =>
        {
            for (int column = 0; column < columns; column++)
            {
                values[((long)row * columns) + column] = (Half)problem.Weight(row, column);
            }
        });
        for (long bytes = 0; bytes < RotatedBytes; bytes += 2L * rows * columns)
        {
            DeviceMemory copy = new(bench.Context, 2L * rows * columns);
            if (_half.Count == 0)
            {
                copy.Upload<Half>(values);
            }
            else
            {
                _half[0].CopyTo(copy, bench.Stream.Handle);
            }

            _half.Add(copy);
        }

        bench.Stream.Synchronize();
    }

    public int Rows { get; }

    public int Columns { get; }

    public PackedLayout Layout => _packed[0].Layout;

    /// <summary>Microseconds of the fused kernel alone; null when the tile does not run.</summary>
    public double? Fused(Batch batch, GemmTile tile, ElementKind kind = ElementKind.Float16, bool overlap = true)
    {
        try
        {
            return _bench.Microseconds(Repeats(_packed.Count, batch), i =>
                _bench.Kernels.Multiply(_bench.Stream.Handle, _packed[i % _packed.Count], batch.Tokens, batch.Output.Address,
                    kind, tile, overlap));
        }
        catch (ZqfpException e) when (e.Code == "ZQFP4105")
        {
            return null;
        }
    }

    /// <summary>Microseconds of token quantization (and A xq) followed by the fused kernel.</summary>
    public double Operator(Batch batch, GemmTile tile) => _bench.Microseconds(Repeats(_packed.Count, batch), i =>
    {
        DeviceWeight weight = _packed[i % _packed.Count];
        _bench.Kernels.QuantizeTokens(_bench.Stream.Handle, batch.Input.Address, ElementKind.Float16, Columns,
            batch.Projecting, weight, overlap: true);
        _bench.Kernels.Multiply(_bench.Stream.Handle, weight, batch.Projecting, batch.Output.Address, ElementKind.Float16,
            tile, overlap: true);
    });

    /// <summary>Microseconds of token quantization alone.</summary>
    public double Quantize(Batch batch) => _bench.Microseconds(Repeats(_packed.Count, batch), i =>
        _bench.Kernels.QuantizeTokens(_bench.Stream.Handle, batch.Input.Address, ElementKind.Float16, Columns,
            batch.Tokens, _packed[i % _packed.Count], overlap: true));

    /// <summary>Microseconds of the product with expanded weights alone.</summary>
    public double Dense(Batch batch, DenseTile tile)
    {
        DensePlan[] plans =
        [
            .. _fp8.Select(copy => _bench.Kernels.PlanDense(
                new DenseWeight(
                    copy.Address, _packed[0].RowScales.Address, 0, _packed[0].LowRankB?.Address ?? 0, _packed[0].Rank, Rows, Columns),
                ElementKind.Float16, tile)),
        ];
        return _bench.Microseconds(Repeats(plans.Length, batch), i =>
            plans[i % plans.Length].Launch(_bench.Stream.Handle, batch.Tokens, batch.Output.Address, overlap: true));
    }

    /// <summary>Microseconds of the library on weights already in its format, with the best algorithm it proposes.</summary>
    public double Library(ProductKind kind, Batch batch)
    {
        List<DeviceMemory> weights = kind == ProductKind.Half ? _half : _fp8;
        return BestProduct(kind, batch, (product, i) =>
            product.Run(_bench.Stream.Handle, weights[i % weights.Count].Address,
                kind == ProductKind.Half ? batch.Input.Address : batch.Tokens.Codes,
                batch.Output.Address, _packed[0].RowScales.Address, batch.Tokens.Scales));
    }

    public void Dispose()
    {
        _packed.ForEach(w => w.Dispose());
        _half.ForEach(m => m.Dispose());
        _fp8.ForEach(m => m.Dispose());
        _expanded.Dispose();
    }

    private double BestProduct(ProductKind kind, Batch batch, Action<CublasLtProduct, int> run)
    {
        if (_bench.Library is null)
        {
            return double.NaN;
        }

        // Row-wise scales come with bfloat16 outputs only.
        ElementKind output = kind == ProductKind.Fp8RowWise ? ElementKind.BFloat16 : ElementKind.Float16;
        double best = double.NaN;
        try
        {
            using CublasLtProduct product = new(_bench.Library, kind, batch.Tokens.Count, Rows, Columns, output);
            for (int algorithm = 0; algorithm < Math.Min(3, product.Algorithms); algorithm++)
            {
                product.Algorithm = algorithm;
                double time = _bench.Microseconds(Repeats(10, batch), i => run(product, i), samples: 9);
                best = double.IsNaN(best) || time < best ? time : best;
            }
        }
        catch (CublasLtException e)
        {
            Console.WriteLine(e.Message);
        }

        return best;
    }

    /// <summary>Launches of a graph: every copy at least once, few where one launch takes long.</summary>
    private static int Repeats(int copies, Batch batch) => batch.Tokens.Count >= 1024 ? Math.Min(copies, 5) : Math.Max(copies, 20);
}
