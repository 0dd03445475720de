namespace Zqfp.Numerics;

/// <summary>
/// Accumulates sum x x^T over calibration tokens as they stream by, in half the memory of the full matrix; and beside it sum t x^T of other
/// values t of the same tokens.
/// </summary>
/// <remarks>
/// Tokens are gathered to blocks of 256, whose products are float32 sums of that length, added to float32
/// totals: the rounding error grows with the number of blocks, not of tokens. The result depends on neither the thread count nor
/// on how the tokens were divided among calls of <see cref="Add(ReadOnlySpan{float})"/>. Not thread safe.
/// </remarks>
internal sealed unsafe class GramAccumulator : IDisposable
{
    private const int Tile = TokenTiles.Tile;
    private const int TokensAtOnce = 16;
    private readonly TokenTiles _tokens;
    private readonly AlignedBuffer _sums;
    private readonly TokenTiles[] _beside;
    private readonly CrossMoment?[] _crossSums;
    private readonly int _tiles;
    private readonly Workers _workers;
    private readonly IGramSums? _device;
    private int _pending;

    /// <summary>Makes an empty accumulator.</summary>
    /// <param name="columns">K: values of one token, 1 or more.</param>
    /// <param name="maxThreads">Threads used at most; 0 for one a processor.</param>
    public GramAccumulator(int columns, int maxThreads = 0)
        : this(columns, Workers.Of(maxThreads, CancellationToken.None)) => ArgumentOutOfRangeException.ThrowIfNegative(maxThreads);

    /// <summary>Makes an empty accumulator.</summary>
    /// <param name="columns">K: values of one token, 1 or more.</param>
    /// <param name="workers">Who computes; once they are cancelled, the sum is good for nothing.</param>
    /// <param name="beside">Number of values in each of the t.</param>
    public GramAccumulator(int columns, Workers workers, params int[] beside)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        Columns = columns;
        _workers = workers;
        _tokens = new TokenTiles(columns);
        _tiles = _tokens.Count;
        _beside = Array.ConvertAll(beside, rows => new TokenTiles(rows));
        _device = workers.Device?.Gram(columns, beside);
        _sums = new AlignedBuffer(_device is null ? (long)_tiles * (_tiles + 1) / 2 * Tile * Tile : 0);
        _crossSums = Array.ConvertAll(beside, rows => _device is null ? new CrossMoment(rows, columns) : null);
    }

    /// <summary>K: values of one token.</summary>
    public int Columns { get; }

    /// <summary>Tokens added so far.</summary>
    public long Tokens { get; private set; }

    /// <summary>Adds tokens.</summary>
    /// <param name="tokensRowMajor">Any number of tokens, <see cref="Columns"/> values each.</param>
    /// <exception cref="ZqfpException">ZQFP2001: the length is no multiple of <see cref="Columns"/>.</exception>
    public void Add(ReadOnlySpan<float> tokensRowMajor)
    {
        if (tokensRowMajor.Length % Columns != 0)
        {
            throw new ZqfpException(
                DiagnosticCodes.ShapeMismatch,
                $"{tokensRowMajor.Length} activations are no whole number of tokens of {Columns} columns.");
        }

        for (int start = 0; start < tokensRowMajor.Length; start += Columns)
        {
            _tokens.Set(_pending, tokensRowMajor.Slice(start, Columns));
            if (++_pending == TokenTiles.Block)
            {
                Flush();
            }
        }

        Tokens += tokensRowMajor.Length / Columns;
    }

    /// <summary>Adds tokens that are made as they are written to where they are summed, several at once.</summary>
    /// <param name="count">Number of tokens.</param>
    /// <param name="write">
    /// Given the first of some tokens and how many they are, writes each, and its t, to the place that it is given for it. It is called on
    /// several threads.
    /// </param>
    public void Add(int count, Action<Places> write)
    {
        for (int done = 0; done < count;)
        {
            int first = done;
            int added = Math.Min(TokenTiles.Block - _pending, count - done);
            _workers.For((added + TokensAtOnce - 1) / TokensAtOnce, i =>
            {
                int start = i * TokensAtOnce;
                write(new Places(this, first + start, Math.Min(TokensAtOnce, added - start), _pending + start));
            });
            done += added;
            _pending += added;
            if (_pending == TokenTiles.Block)
            {
                Flush();
            }
        }

        Tokens += count;
    }

    /// <summary>Where some tokens are written to.</summary>
    /// <param name="Owner">The sums.</param>
    /// <param name="First">The first token, counted from the first that is added.</param>
    /// <param name="Count">How many they are.</param>
    /// <param name="Place">The first's place in the block.</param>
    internal readonly record struct Places(GramAccumulator Owner, int First, int Count, int Place)
    {
        /// <summary>Writes x of a token, 0 .. Count - 1.</summary>
        public void Set(int token, ReadOnlySpan<float> values) => Owner._tokens.Set(Place + token, values);

        /// <summary>Writes a t of a token, 0 .. Count - 1.</summary>
        public void SetBeside(int index, int token, ReadOnlySpan<float> values) => Owner._beside[index].Set(Place + token, values);
    }

    /// <summary>(2/count) sum t x^T, which leaves this accumulator: it takes no more tokens.</summary>
    /// <param name="index">Which of the t.</param>
    /// <param name="count">N.</param>
    public CrossMoment TakeBeside(int index, long count)
    {
        Flush();
        CrossMoment moment = _crossSums[index] ?? new CrossMoment(_beside[index].Columns, Columns);
        _device?.CopyTo(index, moment);
        _crossSums[index] = null;
        for (int row = 0; row < moment.Rows; row++)
        {
            VectorMath.Scale(moment.Row(row), (float)(2.0 / count));
        }

        return moment;
    }

    /// <summary>H = (2/N) sum x x^T of the tokens so far. More tokens may be added afterwards.</summary>
    /// <exception cref="ZqfpException">ZQFP2003: no tokens were added, or an activation was NaN, infinite or too large.</exception>
    public Hessian ToHessian() => ToHessian(Tokens);

    /// <summary>As <see cref="ToHessian()"/>, with another N: parts of the tokens that are to add up to the Hessian of all.</summary>
    internal Hessian ToHessian(long count)
    {
        if (Tokens == 0)
        {
            throw new ZqfpException(DiagnosticCodes.HessianNotFinite, "A Hessian needs at least one calibration token.");
        }

        Flush();
        var hessian = new Hessian(Columns, Tokens);
        float scale = (float)(2.0 / count);
        _device?.CopyTo(hessian);
        _workers.For(Columns, row => Scale(hessian, row, scale));
        hessian.MirrorLowerTriangle(_workers);
        if (!hessian.IsFinite(_workers))
        {
            hessian.Dispose();
            throw new ZqfpException(
                DiagnosticCodes.HessianNotFinite,
                $"The activations of {Tokens} calibration tokens hold NaN or infinity, or overflow float32 when squared.");
        }

        return hessian;
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _tokens.Dispose();
        _sums.Dispose();
        _device?.Dispose();
        Array.ForEach(_beside, tiles => tiles.Dispose());
        Array.ForEach(_crossSums, moment => moment?.Dispose());
    }

    private void Flush()
    {
        if (_pending == 0)
        {
            return;
        }

        if (_device is not null)
        {
            _device.Add(_tokens, _beside, _pending);
            _pending = 0;
            return;
        }

        int triangle = _tiles * (_tiles + 1) / 2;
        _workers.For(triangle + _beside.Sum(tiles => tiles.Count * _tiles), index =>
        {
            if (index < triangle)
            {
                AccumulateTile(index);
            }
            else
            {
                AccumulateBeside(index - triangle);
            }
        });
        _pending = 0;
    }

    private void AccumulateBeside(int index)
    {
        int beside = 0;
        for (; index >= _beside[beside].Count * _tiles; beside++)
        {
            index -= _beside[beside].Count * _tiles;
        }

        (int row, int column) = Math.DivRem(index, _tiles);
        CrossMoment sums = _crossSums[beside]!;
        TileKernel.MultiplyAdd(
            _beside[beside].Data(row),
            TokenTiles.Stride,
            _tokens.Data(column),
            TokenTiles.Stride,
            sums.Data + ((long)row * Tile * sums.Stride) + (column * Tile),
            sums.Stride,
            _beside[beside].Width(row),
            _tokens.Width(column),
            _pending);
    }

    private void AccumulateTile(int index)
    {
        (int row, int column) = TriangleIndex(index);
        TileKernel.MultiplyAdd(
            _tokens.Data(row),
            TokenTiles.Stride,
            _tokens.Data(column),
            TokenTiles.Stride,
            _sums.Data + ((long)index * Tile * Tile),
            Tile,
            _tokens.Width(row),
            _tokens.Width(column),
            _pending);
    }

    private void Scale(Hessian hessian, int row, float scale)
    {
        Span<float> target = hessian.MutableRow(row)[..(row + 1)];
        if (_device is not null)
        {
            VectorMath.Scale(target, scale);
            return;
        }

        long tileRow = row / Tile;
        for (int column = 0; column <= row; column++)
        {
            long tile = (tileRow * (tileRow + 1) / 2) + (column / Tile);
            target[column] = scale * _sums.Data[(tile * Tile * Tile) + (row % Tile * Tile) + (column % Tile)];
        }
    }

    private static (int Row, int Column) TriangleIndex(int index)
    {
        int row = (int)((Math.Sqrt((8.0 * index) + 1) - 1) / 2);
        while ((long)(row + 1) * (row + 2) / 2 <= index)
        {
            row++;
        }

        while ((long)row * (row + 1) / 2 > index)
        {
            row--;
        }

        return (row, index - (int)((long)row * (row + 1) / 2));
    }
}
