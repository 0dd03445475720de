namespace Zqfp.CudaOps;

/// <summary>
/// Device memory for work put into one stream between making and disposing this: neither waits, the driver hands the memory on when
/// that work has ended.
/// </summary>
internal readonly unsafe ref struct StreamMemory
{
    private readonly DriverApi _driver;
    private readonly nint _stream;

    /// <summary>Allocates in stream order.</summary>
    /// <param name="context">The device's context, current on this thread.</param>
    /// <param name="stream">Stream handle.</param>
    /// <param name="bytes">Size; nothing is allocated for 0.</param>
    /// <exception cref="ZqfpException">ZQFP4104: out of memory.</exception>
    public StreamMemory(CudaContext context, nint stream, long bytes)
    {
        _driver = context.Driver;
        _stream = stream;
        if (bytes > 0)
        {
            ulong address;
            _driver.Check(_driver.MemoryAllocateInStream(&address, (nuint)bytes, stream), $"Allocating {bytes} bytes of device memory");
            Address = address;
        }
    }

    /// <summary>The device address; 0 where nothing was allocated.</summary>
    public ulong Address { get; }

    /// <summary>Gives the memory back after the stream's work so far.</summary>
    public void Dispose()
    {
        if (Address != 0)
        {
            _driver.MemoryFreeInStream(Address, _stream);
        }
    }
}
