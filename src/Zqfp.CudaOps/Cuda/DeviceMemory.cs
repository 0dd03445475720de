namespace Zqfp.CudaOps;

/// <summary>A block of device memory, freed on disposal. Aligned to 256 bytes.</summary>
internal sealed unsafe class DeviceMemory : IDisposable
{
    private readonly DriverApi _driver;
    private ulong _address;

    /// <summary>Allocates device memory.</summary>
    /// <param name="context">The device's context, current on this thread.</param>
    /// <param name="bytes">Size, at least 1.</param>
    /// <exception cref="ZqfpException">ZQFP4104: out of memory.</exception>
    public DeviceMemory(CudaContext context, long bytes)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1);
        _driver = context.Driver;
        Bytes = bytes;
        ulong address;
        _driver.Check(_driver.MemoryAllocate(&address, (nuint)bytes), $"Allocating {bytes} bytes of device memory");
        _address = address;
    }

    /// <summary>The device address.</summary>
    /// <exception cref="ObjectDisposedException">The memory was freed.</exception>
    public ulong Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(_address == 0, this);
            return _address;
        }
    }

    /// <summary>Size in bytes.</summary>
    public long Bytes { get; }

    /// <summary>Allocates memory and fills it with values; returns when the copy has ended.</summary>
    public static DeviceMemory From<T>(CudaContext context, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        DeviceMemory memory = new(context, Math.Max(1, (long)values.Length * sizeof(T)));
        try
        {
            memory.Upload(values);
            return memory;
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    /// <summary>Copies values to the memory; returns when the copy has ended.</summary>
    /// <param name="values">The values.</param>
    /// <param name="stream">Stream handle.</param>
    /// <param name="offset">Where the first of them goes, in bytes from the start.</param>
    public void Upload<T>(ReadOnlySpan<T> values, nint stream = 0, long offset = 0)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + ((long)values.Length * sizeof(T)), Bytes);
        if (values.IsEmpty)
        {
            return;
        }

        fixed (T* source = values)
        {
            _driver.Check(
                _driver.CopyToDevice(Address + (ulong)offset, source, (nuint)values.Length * (nuint)sizeof(T), stream),
                "Copy to the device");
        }

        _driver.Check(_driver.StreamSynchronize(stream), "Copy to the device");
    }

    /// <summary>Copies values from the start of the memory, after all earlier work of the stream.</summary>
    public void Download<T>(Span<T> values, nint stream = 0)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)values.Length * sizeof(T), Bytes);
        fixed (T* target = values)
        {
            _driver.Check(_driver.CopyToHost(target, Address, (nuint)values.Length * (nuint)sizeof(T), stream), "Copy to the host");
        }

        _driver.Check(_driver.StreamSynchronize(stream), "Copy to the host");
    }

    /// <summary>Copies this memory to another of at least its size, in stream order.</summary>
    public void CopyTo(DeviceMemory target, nint stream = 0)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Bytes, target.Bytes);
        _driver.Check(_driver.CopyOnDevice(target.Address, Address, (nuint)Bytes, stream), "Copy on the device");
    }

    /// <summary>Sets every byte, in stream order.</summary>
    public void Fill(byte value, nint stream = 0) => _driver.Check(_driver.Fill(Address, value, (nuint)Bytes, stream), "cuMemsetD8Async");

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_address != 0)
        {
            _driver.MemoryFree(_address);
        }

        _address = 0;
    }
}
