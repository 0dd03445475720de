namespace Zqfp.Numerics;

/// <summary>
/// H + damping = (I + U) D (I + U)^T with U strictly upper triangular, in half the memory of H: what GPTQ needs of a Hessian.
/// </summary>
/// <remarks>
/// <para>GPTQ's recursion w_j -= err_i Hinv_ij with the upper Cholesky factor of H^-1 equals rounding column j of
/// W + (W - Q) U, column after column (QuIP, theorem 6). This needs no inverse: one factorization of K^3/3 multiply-adds
/// instead of Cholesky, inversion and Cholesky, and less rounding.</para>
/// <para>The factorization is H = L^T L, from the last row to the first, in tiles: L's tile (i, j), j &lt;= i, is stored row-major
/// with the column of L fastest, so every update is the kernel's A^T B. Diagonal tiles are factored and inverted in double;
/// everything else is float32. At the end each tile is turned to U's layout: <see cref="Tile"/>(k, c)[k][c] = U[k][c].</para>
/// </remarks>
internal sealed unsafe class TiledFactor : IDisposable
{
    private readonly AlignedBuffer _tiles;

    private TiledFactor(int size, int tileSize)
    {
        Size = size;
        TileSize = tileSize;
        Stride = TileKernel.Stride(tileSize);
        Blocks = (size + tileSize - 1) / tileSize;
        _tiles = new AlignedBuffer((long)Blocks * (Blocks + 1) / 2 * TileLength);
        Pivots = new double[Blocks * tileSize];
    }

    /// <summary>K, without padding.</summary>
    public int Size { get; }

    public int TileSize { get; }

    /// <summary>Elements between the rows of a tile.</summary>
    public int Stride { get; }

    public int Blocks { get; }

    /// <summary>D: the cost of an error in each column, in the order of the factorization, padded with ones.</summary>
    public double[] Pivots { get; }

    /// <summary>Factors H + diagonal, or returns null when that is not positive definite.</summary>
    /// <param name="hessian">The Hessian.</param>
    /// <param name="order">Column taken at each step, or null for the natural order.</param>
    /// <param name="dead">Columns whose diagonal counts as 1.</param>
    /// <param name="damping">Added to the diagonal.</param>
    /// <param name="tileSize">A multiple of 32.</param>
    /// <param name="threads">Threads used at most.</param>
    /// <param name="cancellation">Stops between tiles.</param>
    public static TiledFactor? TryCreate(
        Hessian hessian, int[]? order, bool[] dead, double damping, int tileSize, int threads, CancellationToken cancellation)
    {
        var factor = new TiledFactor(hessian.Size, tileSize);
        if (factor.Factor(hessian, order, dead, damping, threads, cancellation))
        {
            factor.TurnToUpper(threads, cancellation);
            return factor;
        }

        factor.Dispose();
        return null;
    }

    /// <summary>
    /// U's tile of rows <paramref name="k"/> and columns <paramref name="c"/>, k &lt;= c; of a diagonal tile only k &lt; c counts.
    /// </summary>
    public float* Tile(int k, int c) => _tiles.Data + (((c * (c + 1L) / 2) + k) * TileLength);

    public void Dispose() => _tiles.Dispose();

    private int TileLength => TileSize * Stride;

    private bool Factor(Hessian hessian, int[]? order, bool[] dead, double damping, int threads, CancellationToken cancellation)
    {
        new Workers(threads, cancellation).For(Blocks, i => LoadNegated(hessian, order, dead, damping, i));
        var diagonal = new DiagonalTile(TileSize, Stride);
        using var inverse = new AlignedBuffer(TileLength);
        for (int j = Blocks - 1; j >= 0; j--)
        {
            int row = j;
            new Workers(threads, cancellation).For(row + 1, i =>
            {
                for (int k = row + 1; k < Blocks; k++)
                {
                    TileKernel.MultiplyAdd(Tile(row, k), Stride, Tile(i, k), Stride, Tile(i, row), Stride, TileSize, TileSize, TileSize);
                }
            });
            if (!diagonal.Factor(Tile(row, row), inverse.Data, Pivots.AsSpan(row * TileSize, TileSize)))
            {
                return false;
            }

            new Workers(threads, cancellation).For(row, () => new AlignedBuffer(TileLength),
                (i, scratch) => Solve(Tile(i, row), inverse.Data, scratch));
        }

        return true;
    }

    // The kernel only adds, so tiles hold the negative of what is left to factor.
    private void LoadNegated(Hessian hessian, int[]? order, bool[] dead, double damping, int rowBlock)
    {
        for (int columnBlock = 0; columnBlock <= rowBlock; columnBlock++)
        {
            float* tile = Tile(columnBlock, rowBlock);
            for (int a = 0; a < TileSize; a++)
            {
                LoadNegatedRow(hessian, order, (rowBlock * TileSize) + a, columnBlock * TileSize, tile + (a * Stride));
            }
        }

        for (int a = 0; a < TileSize; a++)
        {
            int i = (rowBlock * TileSize) + a;
            float* diagonal = Tile(rowBlock, rowBlock) + (a * Stride) + a;
            *diagonal = i >= Size ? -1 : (float)-((dead[order?[i] ?? i] ? 1 : -*diagonal) + damping);
        }
    }

    private void LoadNegatedRow(Hessian hessian, int[]? order, int row, int firstColumn, float* target)
    {
        int columns = row < Size ? Math.Min(TileSize, Size - firstColumn) : 0;
        float* source = columns > 0 ? hessian.Data + ((long)(order?[row] ?? row) * hessian.Stride) : null;
        if (order is null)
        {
            for (int b = 0; b < columns; b++)
            {
                target[b] = -source[firstColumn + b];
            }
        }
        else
        {
            for (int b = 0; b < columns; b++)
            {
                target[b] = -source[order[firstColumn + b]];
            }
        }

        new Span<float>(target + columns, TileSize - columns).Clear();
    }

    // L_ji = L_jj^-T S_ji; the tile holds -S on entry and L on return.
    private void Solve(float* tile, float* inverse, AlignedBuffer scratch)
    {
        for (int i = 0; i < TileLength; i++)
        {
            scratch.Data[i] = -tile[i];
            tile[i] = 0;
        }

        TileKernel.MultiplyAdd(inverse, Stride, scratch.Data, Stride, tile, Stride, TileSize, TileSize, TileSize);
    }

    private void TurnToUpper(int threads, CancellationToken cancellation) =>
        new Workers(threads, cancellation).For(Blocks, () => new AlignedBuffer(TileLength), (c, scratch) =>
        {
            for (int k = 0; k <= c; k++)
            {
                float* tile = Tile(k, c);
                for (int a = 0; a < TileSize; a++)
                {
                    float scale = (float)(1 / Math.Sqrt(Pivots[(c * TileSize) + a]));
                    VectorMath.Scale(new Span<float>(tile + (a * Stride), TileSize), scale);
                }

                for (int a = 0; a < TileSize; a += Transposing.Lines)
                {
                    Transposing.RowsToColumns(new ReadOnlySpan<float>(tile + (a * Stride), Transposing.Lines * Stride),
                        Stride, TileSize, scratch.Data + a, Stride, null);
                }

                new Span<float>(scratch.Data, TileLength).CopyTo(new Span<float>(tile, TileLength));
            }
        });
}
