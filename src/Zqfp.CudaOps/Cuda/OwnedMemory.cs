namespace Zqfp.CudaOps;

/// <summary>Device memory that goes together: all of it, also where the device runs out half-way through putting a layer there.</summary>
internal sealed class OwnedMemory : IDisposable
{
    private readonly List<IDisposable> _owned = [];

    private OwnedMemory()
    {
    }

    /// <summary>Makes what owns device memory; where that fails nothing stays on the device.</summary>
    /// <param name="make">Is given what is to own the memory, and to be disposed of with the result.</param>
    public static T For<T>(Func<OwnedMemory, T> make)
    {
        var owned = new OwnedMemory();
        try
        {
            return make(owned);
        }
        catch
        {
            owned.Dispose();
            throw;
        }
    }

    /// <summary>Takes something over, and returns it.</summary>
    public T Add<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    /// <summary>Copies values to the device.</summary>
    public DeviceMemory From<T>(CudaContext context, ReadOnlySpan<T> values)
        where T : unmanaged => Add(DeviceMemory.From(context, values));

    /// <summary>Copies values to the device where there are any.</summary>
    public DeviceMemory? FromAny<T>(CudaContext context, ReadOnlyMemory<T> values)
        where T : unmanaged => values.IsEmpty ? null : From(context, values.Span);

    /// <inheritdoc/>
    public void Dispose() => _owned.ForEach(owned => owned.Dispose());
}
