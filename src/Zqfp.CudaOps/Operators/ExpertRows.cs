namespace Zqfp.CudaOps;

/// <summary>The rows of one call sorted by expert. Memory is borrowed until it is disposed.</summary>
/// <remarks>
/// Index has a row of Y for each element; X has as many rows, or a divisor of them: a row of X then serves several consecutive elements,
/// as when each token goes to k experts.
/// </remarks>
internal readonly unsafe ref struct ExpertRows
{
    private readonly ScratchPool _scratch;
    private readonly NativeBuffer _buffer;
    private readonly int* _starts;
    private readonly int* _sources;
    private readonly int* _targets;

    /// <summary>Sorts the rows; rows of one expert keep their order.</summary>
    /// <param name="scratch">Lends memory.</param>
    /// <param name="index">The expert of each row of Y, from the end where it is negative.</param>
    /// <param name="rows">Rows of X.</param>
    /// <param name="experts">How many experts there are.</param>
    /// <exception cref="ZqfpException">ZQFP4006: an index is out of range, or the rows do not fit.</exception>
    public ExpertRows(ScratchPool scratch, in OrtTensorView index, int rows, int experts)
    {
        int count = ExpertShapes.Count(index, rows);
        Count = count;
        _scratch = scratch;
        _buffer = scratch.Rent(((long)experts + 1 + (2L * count)) * sizeof(int));
        _starts = (int*)_buffer.Bytes;
        _sources = _starts + experts + 1;
        _targets = _sources + count;
        try
        {
            Sort((long*)index.DataPointer, count == 0 ? 1 : count / rows, experts);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Rows of Y.</summary>
    public int Count { get; }

    /// <summary>The rows of one expert.</summary>
    public TokenRows Of(int expert, in TokenRows all)
    {
        TokenRows some = all;
        some.Count = _starts[expert + 1] - _starts[expert];
        some.Sources = _sources + _starts[expert];
        some.Targets = _targets + _starts[expert];
        return some;
    }

    public void Dispose() => _scratch.Return(_buffer);

    private void Sort(long* index, int perRow, int experts)
    {
        new Span<int>(_starts, experts + 1).Clear();
        for (int i = 0; i < Count; i++)
        {
            long expert = Expert(index[i], experts);
            if (expert < 0 || expert >= experts)
            {
                throw new ZqfpException("ZQFP4006", $"Index must be below {experts}, the number of experts; it has {index[i]}.");
            }

            _starts[expert + 1]++;
        }

        for (int expert = 0; expert < experts; expert++)
        {
            _starts[expert + 1] += _starts[expert];
        }

        // Each start moves to the next expert's, and all of them back behind.
        for (int i = 0; i < Count; i++)
        {
            int place = _starts[Expert(index[i], experts)]++;
            _sources[place] = i / perRow;
            _targets[place] = i;
        }

        for (int expert = experts; expert > 0; expert--)
        {
            _starts[expert] = _starts[expert - 1];
        }

        _starts[0] = 0;
    }

    private static long Expert(long index, int experts) => index < 0 ? index + experts : index;
}
