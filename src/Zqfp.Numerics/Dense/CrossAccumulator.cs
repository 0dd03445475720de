namespace Zqfp.Numerics;

/// <summary>
/// Accumulates sum t a^T of two values of each token as they stream by. As with <see cref="GramAccumulator"/> the result depends on
/// neither the thread count nor on how the tokens were divided among calls. Not thread safe.
/// </summary>
/// <param name="rows">Values of t.</param>
/// <param name="columns">K, values of a.</param>
/// <param name="workers">Who computes.</param>
internal sealed unsafe class CrossAccumulator(int rows, int columns, Workers workers) : IDisposable
{
    private readonly TokenTiles _left = new(rows);
    private readonly TokenTiles _right = new(columns);
    private readonly CrossMoment _sums = new(rows, columns);
    private int _pending;
    private bool _isTaken;

    /// <summary>Adds tokens.</summary>
    /// <param name="left">t of any number of tokens, row-major.</param>
    /// <param name="right">a of the same tokens.</param>
    public void Add(ReadOnlySpan<float> left, ReadOnlySpan<float> right)
    {
        for (int token = 0; token < right.Length / columns; token++)
        {
            _left.Set(_pending, left.Slice(token * rows, rows));
            _right.Set(_pending, right.Slice(token * columns, columns));
            if (++_pending == TokenTiles.Block)
            {
                Flush();
            }
        }
    }

    /// <summary>The sum times 2 / <paramref name="count"/>. It leaves this accumulator, which takes no more tokens.</summary>
    public CrossMoment Take(long count)
    {
        Flush();
        for (int row = 0; row < rows; row++)
        {
            VectorMath.Scale(_sums.Row(row), (float)(2.0 / count));
        }

        _isTaken = true;
        return _sums;
    }

    public void Dispose()
    {
        _left.Dispose();
        _right.Dispose();
        if (!_isTaken)
        {
            _sums.Dispose();
        }
    }

    private void Flush()
    {
        if (_pending > 0)
        {
            workers.For(_left.Count * _right.Count, AccumulateTile);
            _pending = 0;
        }
    }

    private void AccumulateTile(int index)
    {
        (int row, int column) = Math.DivRem(index, _right.Count);
        const int Tile = TokenTiles.Tile;
        float* target = _sums.Data + ((long)row * Tile * _sums.Stride) + (column * Tile);
        TileKernel.MultiplyAdd(_left.Data(row), TokenTiles.Stride, _right.Data(column), TokenTiles.Stride, target,
            _sums.Stride, Tile, Tile, _pending);
    }
}
