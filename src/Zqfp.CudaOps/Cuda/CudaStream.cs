using System.Diagnostics.CodeAnalysis;

namespace Zqfp.CudaOps;

/// <summary>An ordered queue of device work.</summary>
[SuppressMessage("Naming", "CA1711", Justification = "CUDA's own term; nothing to do with System.IO.Stream.")]
internal sealed unsafe class CudaStream : IDisposable
{
    private const uint NonBlocking = 1;
    private const int ThreadLocalCapture = 1;

    private readonly DriverApi _driver;

    /// <summary>Creates a stream that does not wait for the default stream.</summary>
    public CudaStream(CudaContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        _driver = context.Driver;
        nint handle;
        _driver.Check(_driver.StreamCreate(&handle, NonBlocking), "cuStreamCreate");
        Handle = handle;
    }

    /// <summary>The driver's handle; the runtime API's cudaStream_t is the same.</summary>
    public nint Handle { get; private set; }

    /// <summary>Waits until all work of the stream has ended; reports its failures.</summary>
    /// <exception cref="ZqfpException">ZQFP4104: a kernel failed.</exception>
    public void Synchronize() => _driver.Check(_driver.StreamSynchronize(Handle), "A kernel");

    /// <summary>Records what <paramref name="work"/> puts into the stream as a graph, without running it.</summary>
    public CudaGraph Capture(Action work)
    {
        ArgumentNullException.ThrowIfNull(work);
        _driver.Check(_driver.StreamBeginCapture(Handle, ThreadLocalCapture), "cuStreamBeginCapture");
        nint graph;
        try
        {
            work();
        }
        finally
        {
            _driver.Check(_driver.StreamEndCapture(Handle, &graph), "cuStreamEndCapture");
        }
        return new CudaGraph(_driver, graph);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Handle != 0)
        {
            _driver.StreamDestroy(Handle);
        }

        Handle = 0;
    }
}
