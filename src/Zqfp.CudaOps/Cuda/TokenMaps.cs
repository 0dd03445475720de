namespace Zqfp.CudaOps;

/// <summary>
/// Descriptions of token batches for the copy engine, kept by address and length: an arena gives the same few addresses again and again.
/// </summary>
/// <param name="context">The device.</param>
/// <param name="columns">K.</param>
/// <param name="boxRows">Tokens of a box.</param>
internal sealed class TokenMaps(CudaContext context, int columns, int boxRows)
{
    private const int Kept = 4;

    private readonly Map?[] _maps = new Map?[Kept];
    private int _next;

    /// <summary>The description of E4M3 codes [count, K].</summary>
    public TensorMap Of(ulong address, int count)
    {
        foreach (Map? known in _maps)
        {
            if (known is not null && known.Address == address && known.Count == count)
            {
                return known.Value;
            }
        }

        var made = new Map(address, count, TensorMap.ForRows(context, address, count, columns, boxRows));
        _maps[(uint)Interlocked.Increment(ref _next) % Kept] = made;
        return made.Value;
    }

    private sealed record Map(ulong Address, int Count, TensorMap Value);
}
