using System.Text;

namespace Zqfp.CudaOps;

/// <summary>
/// A device's primary context, the one that ONNX Runtime and every other CUDA library of the process shares.
/// Creating it makes it current on the calling thread.
/// </summary>
internal sealed unsafe class CudaContext : IDisposable
{
    private const int MultiprocessorCountAttribute = 16;
    private const int MajorAttribute = 75;
    private const int MinorAttribute = 76;
    private const int SharedMemoryAttribute = 97;

    private readonly nint _context;
    private readonly int _device;
    private bool _disposed;

    /// <summary>Retains the primary context of a device.</summary>
    /// <param name="ordinal">Device number, from 0.</param>
    /// <exception cref="ZqfpException">ZQFP4101: no driver; ZQFP4104: no such device.</exception>
    public CudaContext(int ordinal = 0)
        : this(DriverApi.Instance, ordinal)
    {
    }

    /// <summary>Retains the primary context of a device through a driver of the caller's.</summary>
    internal CudaContext(DriverApi driver, int ordinal)
    {
        Driver = driver;
        Driver.Check(Driver.Init(0), "cuInit");
        int device, version;
        Driver.Check(Driver.DeviceGet(&device, ordinal), $"cuDeviceGet({ordinal})");
        Driver.Check(Driver.DriverGetVersion(&version), "cuDriverGetVersion");
        _device = device;
        DriverVersion = version;
        byte* name = stackalloc byte[256];
        Driver.Check(Driver.DeviceGetName(name, 256, device), "cuDeviceGetName");
        Name = Encoding.UTF8.GetString(System.Runtime.InteropServices.MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
        Multiprocessors = Attribute(MultiprocessorCountAttribute);
        ComputeCapability = (Attribute(MajorAttribute) * 10) + Attribute(MinorAttribute);
        SharedMemoryPerBlock = Attribute(SharedMemoryAttribute);
        nint context;
        Driver.Check(Driver.PrimaryContextRetain(&context, device), "cuDevicePrimaryCtxRetain");
        _context = context;
        MakeCurrent();
    }

    /// <summary>Whether a driver is installed and reports at least one device.</summary>
    public static bool IsAvailable
    {
        get
        {
            if (!DriverApi.IsAvailable)
            {
                return false;
            }

            DriverApi driver = DriverApi.Instance;
            int count;
            return driver.Init(0) == 0 && driver.DeviceGetCount(&count) == 0 && count > 0;
        }
    }

    /// <summary>Whether a device is there that the kernels serve. Nothing is created on it.</summary>
    /// <param name="ordinal">Device number, from 0.</param>
    public static bool IsServed(int ordinal)
    {
        if (!IsAvailable)
        {
            return false;
        }

        DriverApi driver = DriverApi.Instance;
        int device, major, minor;
        return driver.DeviceGet(&device, ordinal) == 0 && driver.DeviceGetAttribute(&major, MajorAttribute, device) == 0
            && driver.DeviceGetAttribute(&minor, MinorAttribute, device) == 0 && (10 * major) + minor >= KernelTarget.Lowest;
    }

    /// <summary>The device's name.</summary>
    public string Name { get; }

    /// <summary>The driver's CUDA version, 1000 * major + 10 * minor.</summary>
    public int DriverVersion { get; }

    /// <summary>Number of streaming multiprocessors.</summary>
    public int Multiprocessors { get; }

    /// <summary>10 * major + minor: 90 for Hopper.</summary>
    public int ComputeCapability { get; }

    /// <summary>Largest dynamic shared memory of a block, in bytes.</summary>
    public int SharedMemoryPerBlock { get; }

    internal DriverApi Driver { get; }

    /// <summary>Makes the context current on the calling thread; every thread that uses the device needs it once.</summary>
    public void MakeCurrent() => Driver.Check(Driver.ContextSetCurrent(_context), "cuCtxSetCurrent");

    /// <summary>Waits for the work of the default stream.</summary>
    public void Synchronize() => Driver.Check(Driver.StreamSynchronize(0), "cuStreamSynchronize");

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        Driver.PrimaryContextRelease(_device);
    }

    private int Attribute(int id)
    {
        int value;
        Driver.Check(Driver.DeviceGetAttribute(&value, id, _device), $"cuDeviceGetAttribute({id})");
        return value;
    }
}
