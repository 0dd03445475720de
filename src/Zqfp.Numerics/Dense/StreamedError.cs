namespace Zqfp.Numerics;

/// <summary>Products with an error matrix E [N, K] that is only ever there a tile of rows at a time.</summary>
internal sealed unsafe class StreamedError(ErrorSource source, Hessian? hessian, int threads, CancellationToken cancellation)
    : IErrorProducts
{
    private const int TileRows = 128;

    private static readonly int ColumnStride = TileKernel.Stride(TileRows);

    // E^T Y sums over tiles of rows: each of a fixed number of lanes sums its own tiles, then the lanes are added in order.
    private const int Lanes = 8;

    private readonly int _paddedColumns = VectorMath.RoundUp(source.Columns, TileKernel.ColumnStep);
    private readonly int _rowStride = TileKernel.Stride(VectorMath.RoundUp(source.Columns, TileKernel.ColumnStep));

    public int Rows => source.Rows;

    public int Columns => source.Columns;

    public int PaddedColumns => _paddedColumns;

    public int Tiles => (Rows + TileRows - 1) / TileRows;

    public int PaddedRows => Tiles * TileRows;

    public double Loss(bool isWeighted)
    {
        double[] losses = new double[Tiles];
        ForTiles((tile, scratch) => losses[tile] = TileLoss(isWeighted ? hessian : null, tile, scratch));
        return losses.Sum();
    }

    public AlignedBuffer Multiply(AlignedBuffer right, int width)
    {
        var product = new AlignedBuffer((long)PaddedRows * width);
        ForTiles((tile, scratch) =>
        {
            LoadColumns(tile, scratch);
            MultiplyTile(right, width, scratch, product.Data + ((long)tile * TileRows * width));
        });
        return product;
    }

    public AlignedBuffer MultiplyTwice(AlignedBuffer right, int width) =>
        SumOverTiles(width, (tile, scratch, lane) =>
        {
            LoadColumns(tile, scratch);
            using var product = new AlignedBuffer((long)TileRows * width);
            MultiplyTile(right, width, scratch, product.Data);
            TileKernel.MultiplyAdd(scratch.Rows.Data, _rowStride, product.Data, width, lane.Data, width, _paddedColumns, width, TileRows);
        });

    public AlignedBuffer MultiplyTransposed(AlignedBuffer right, int width) =>
        SumOverTiles(width, (tile, scratch, lane) =>
        {
            LoadRows(tile, scratch);
            TileKernel.MultiplyAdd(
                scratch.Rows.Data, _rowStride, right.Data + ((long)tile * TileRows * width), width, lane.Data,
                width, _paddedColumns, width, TileRows);
        });

    public AlignedBuffer MultiplyHessian(AlignedBuffer right, int width) =>
        Basis.MultiplyHessian(hessian!, right, width, threads, cancellation);

    public void Dispose()
    {
    }

    private AlignedBuffer SumOverTiles(int width, Action<int, Scratch, AlignedBuffer> body)
    {
        var lanes = new AlignedBuffer[Math.Min(Lanes, Tiles)];
        new Workers(threads, cancellation).For(lanes.Length, () => new Scratch(_rowStride), (lane, scratch) =>
        {
            lanes[lane] = new AlignedBuffer((long)_paddedColumns * width);
            for (int tile = lane; tile < Tiles; tile += lanes.Length)
            {
                cancellation.ThrowIfCancellationRequested();
                body(tile, scratch, lanes[lane]);
            }
        });
        Span<float> sum = lanes[0].Slice(0, _paddedColumns * width);
        foreach (AlignedBuffer lane in lanes.AsSpan(1))
        {
            VectorMath.AddScaled(sum, 1, lane.Slice(0, sum.Length));
            lane.Dispose();
        }

        return lanes[0];
    }

    private void ForTiles(Action<int, Scratch> body) =>
        new Workers(threads, cancellation).For(Tiles, () => new Scratch(_rowStride), body);

    private void MultiplyTile(AlignedBuffer right, int width, Scratch scratch, float* product)
    {
        for (int k = 0; k < _paddedColumns; k += 256)
        {
            TileKernel.MultiplyAdd(
                scratch.Columns.Data + ((long)k * ColumnStride),
                ColumnStride,
                right.Data + ((long)k * width),
                width,
                product,
                width,
                TileRows,
                width,
                Math.Min(256, _paddedColumns - k));
        }
    }

    private void LoadRows(int tile, Scratch scratch)
    {
        for (int r = 0; r < TileRows; r++)
        {
            Span<float> row = scratch.Rows.Slice((long)r * _rowStride, _paddedColumns);
            if ((tile * TileRows) + r < Rows)
            {
                source.CopyRow((tile * TileRows) + r, row);
            }
            else
            {
                row.Clear();
            }
        }
    }

    private void LoadColumns(int tile, Scratch scratch)
    {
        LoadRows(tile, scratch);
        for (int r0 = 0; r0 < TileRows; r0 += Transposing.Lines)
        {
            ReadOnlySpan<float> rows = scratch.Rows.Slice((long)r0 * _rowStride, Transposing.Lines * _rowStride);
            Transposing.RowsToColumns(rows, _rowStride, _paddedColumns, scratch.Columns.Data + r0, ColumnStride, null);
        }
    }

    // The sum over pairs of columns k <= c, those with k < c twice.
    private double TileLoss(Hessian? weighting, int tile, Scratch scratch)
    {
        if (weighting is null)
        {
            LoadRows(tile, scratch);
            Span<float> all = scratch.Rows.Slice(0, TileRows * _rowStride);
            return VectorMath.Dot(all, all);
        }

        LoadColumns(tile, scratch);
        const int Block = 128;
        using var sums = new AlignedBuffer(Block * ColumnStride);
        double loss = 0;
        for (int c = 0; c < _paddedColumns; c += Block)
        {
            int width = Math.Min(Block, _paddedColumns - c);
            sums.Clear();
            for (int k = 0; k < c; k += Block)
            {
                TileKernel.MultiplyAdd(
                    weighting.Data + ((long)k * weighting.Stride) + c, weighting.Stride, scratch.Columns.Data + ((long)k * ColumnStride),
                    ColumnStride, sums.Data, ColumnStride, width, TileRows, Block);
            }

            Span<float> sum = sums.Slice(0, width * ColumnStride);
            Span<float> errors = scratch.Columns.Slice((long)c * ColumnStride, width * ColumnStride);
            loss += 2 * VectorMath.Dot(sum, errors);
            sums.Clear();
            TileKernel.MultiplyAdd(
                weighting.Data + ((long)c * weighting.Stride) + c, weighting.Stride, scratch.Columns.Data + ((long)c * ColumnStride),
                ColumnStride, sums.Data, ColumnStride, width, TileRows, width);
            loss += VectorMath.Dot(sum, errors);
        }

        return loss;
    }

    private sealed class Scratch(int rowStride) : IDisposable
    {
        public AlignedBuffer Rows { get; } = new((long)TileRows * rowStride);

        public AlignedBuffer Columns { get; } = new((long)ColumnStride * rowStride);

        public void Dispose()
        {
            Rows.Dispose();
            Columns.Dispose();
        }
    }
}
