namespace Zqfp.CudaOps;

/// <summary>A point in a stream's work that can be waited for and timed.</summary>
internal sealed unsafe class CudaEvent : IDisposable
{
    private readonly DriverApi _driver;
    private nint _handle;

    /// <summary>Creates an event that records time.</summary>
    public CudaEvent(CudaContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        _driver = context.Driver;
        nint handle;
        _driver.Check(_driver.EventCreate(&handle, 0), "cuEventCreate");
        _handle = handle;
    }

    /// <summary>Marks the end of the work now in the stream.</summary>
    public void Record(CudaStream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        _driver.Check(_driver.EventRecord(_handle, stream.Handle), "cuEventRecord");
    }

    /// <summary>Waits until the device has reached it.</summary>
    public void Wait() => _driver.Check(_driver.EventSynchronize(_handle), "cuEventSynchronize");

    /// <summary>Milliseconds from <paramref name="start"/> to this event; waits for both.</summary>
    public float MillisecondsSince(CudaEvent start)
    {
        ArgumentNullException.ThrowIfNull(start);
        _driver.Check(_driver.EventSynchronize(_handle), "cuEventSynchronize");
        float milliseconds;
        _driver.Check(_driver.EventElapsedTime(&milliseconds, start._handle, _handle), "cuEventElapsedTime");
        return milliseconds;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_handle != 0)
        {
            _driver.EventDestroy(_handle);
        }

        _handle = 0;
    }
}
