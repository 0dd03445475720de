namespace Zqfp.Numerics;

/// <summary>
/// R = (2/N) sum (t - W a) a^T of a layer: what its weights leave of the targets t, given the input a. It lies in tiles of rows, each
/// turned to [columns, rows] as the sweeps read it.
/// </summary>
internal sealed unsafe class TargetGap : IDisposable
{
    private readonly AlignedBuffer _values;

    private TargetGap(int rows, int columns)
    {
        Rows = rows;
        Columns = columns;
        TileRows = rows >= 512 ? 128 : 64;
        Tiles = (rows + TileRows - 1) / TileRows;
        PaddedColumns = VectorMath.RoundUp(columns, TokenTiles.Tile);
        Stride = TileKernel.Stride(TileRows);
        _values = new AlignedBuffer(Tiles * TileLength);
    }

    /// <summary>N.</summary>
    public int Rows { get; }

    /// <summary>K.</summary>
    public int Columns { get; }

    /// <summary>Rows of a tile; those past the last are 0.</summary>
    public int TileRows { get; }

    /// <summary>Tiles.</summary>
    public int Tiles { get; }

    /// <summary>K with the zeros that follow: whole tiles of the factor.</summary>
    public int PaddedColumns { get; }

    /// <summary>Elements between two columns of a tile.</summary>
    public int Stride { get; }

    /// <summary>Elements of a tile.</summary>
    public long TileLength => (long)PaddedColumns * Stride;

    /// <summary>First element of a tile.</summary>
    public float* Tile(int index) => _values.Data + (index * TileLength);

    /// <summary>For targets t = W x, from the sums of x - a: R = W (2/N) sum (x - a) a^T.</summary>
    /// <param name="weights">W [rows, columns], row-major.</param>
    /// <param name="rows">N.</param>
    /// <param name="shift">(2/N) sum (x - a) a^T, [columns, columns].</param>
    /// <param name="workers">Who computes.</param>
    public static TargetGap FromInputs(ReadOnlyMemory<float> weights, int rows, CrossMoment shift, Workers workers)
    {
        var gap = new TargetGap(rows, shift.Columns);
        gap.ForTiles(workers, (tile, scratch) =>
        {
            gap.LoadWeights(weights.Span, tile, 1, scratch);
            gap.MultiplyAdd(shift.Data, shift.Stride, gap.PaddedColumns, scratch.Data, gap.Tile(tile));
        });
        return gap;
    }

    /// <summary>For targets that were summed themselves: R = (2/N) sum t a^T - W H.</summary>
    /// <param name="weights">W [rows, columns], row-major.</param>
    /// <param name="outputs">(2/N) sum t a^T, [rows, columns].</param>
    /// <param name="hessian">H of the same tokens.</param>
    /// <param name="workers">Who computes.</param>
    public static TargetGap FromOutputs(ReadOnlyMemory<float> weights, CrossMoment outputs, Hessian hessian, Workers workers)
    {
        var gap = new TargetGap(outputs.Rows, outputs.Columns);
        gap.ForTiles(workers, (tile, scratch) =>
        {
            int first = tile * gap.TileRows;
            for (int r0 = 0; r0 < gap.TileRows; r0 += Transposing.Lines)
            {
                ReadOnlySpan<float> lines = new(outputs.Data + ((long)(first + r0) * outputs.Stride), Transposing.Lines * outputs.Stride);
                Transposing.RowsToColumns(lines, outputs.Stride, gap.Columns, gap.Tile(tile) + r0, gap.Stride, null);
            }

            gap.LoadWeights(weights.Span, tile, -1, scratch);
            gap.MultiplyAdd(hessian.Data, hessian.Stride, hessian.PaddedSize, scratch.Data, gap.Tile(tile));
        });
        return gap;
    }

    /// <summary>Adds that of other tokens.</summary>
    public void Add(TargetGap other)
    {
        for (int tile = 0; tile < Tiles; tile++)
        {
            VectorMath.AddScaled(new Span<float>(Tile(tile), checked((int)TileLength)), 1,
                new Span<float>(other.Tile(tile), (int)TileLength));
        }
    }

    /// <summary>Adds a tile of changes, in the layout of the gap, to the rows of W it belongs to.</summary>
    public void AddRows(int tile, float* changes, Span<float> weights)
    {
        int first = tile * TileRows;
        int rows = Math.Min(TileRows, Rows - first);
        for (int r = 0; r < rows; r++)
        {
            Span<float> row = weights.Slice((first + r) * Columns, Columns);
            for (int c = 0; c < Columns; c++)
            {
                row[c] += changes[((long)c * Stride) + r];
            }
        }
    }

    /// <summary>Runs <paramref name="body"/> for each tile, with a buffer of a tile's size.</summary>
    public void ForTiles(Workers workers, Action<int, AlignedBuffer> body) => workers.For(Tiles, () => new AlignedBuffer(TileLength), body);

    public void Dispose() => _values.Dispose();

    // The tile [columns, rows] of W times a sign.
    private void LoadWeights(ReadOnlySpan<float> weights, int tile, float sign, AlignedBuffer target)
    {
        int first = tile * TileRows;
        int rows = Math.Min(TileRows, Rows - first);
        float[] lines = new float[Transposing.Lines * Columns];
        for (int r0 = 0; r0 < TileRows; r0 += Transposing.Lines)
        {
            int count = Math.Clamp(rows - r0, 0, Transposing.Lines);
            if (count > 0)
            {
                weights.Slice((first + r0) * Columns, count * Columns).CopyTo(lines);
            }

            VectorMath.Scale(lines, sign);
            lines.AsSpan(count * Columns).Clear();
            Transposing.RowsToColumns(lines, Columns, Columns, target.Data + r0, Stride, null);
        }
    }

    // target[c, r] += sum of matrix[k, c] right[k, r].
    private void MultiplyAdd(float* matrix, int matrixStride, int size, float* right, float* target)
    {
        const int Depth = 128;
        for (int c = 0; c < size; c += Depth)
        {
            for (int k = 0; k < size; k += Depth)
            {
                TileKernel.MultiplyAdd(
                    matrix + ((long)k * matrixStride) + c,
                    matrixStride,
                    right + ((long)k * Stride),
                    Stride,
                    target + ((long)c * Stride),
                    Stride,
                    Math.Min(Depth, size - c),
                    TileRows,
                    Math.Min(Depth, size - k));
            }
        }
    }
}
