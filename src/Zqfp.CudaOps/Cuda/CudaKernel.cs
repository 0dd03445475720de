namespace Zqfp.CudaOps;

/// <summary>Sizes of a kernel launch: a grid of blocks, and of a block of threads.</summary>
/// <param name="X">Blocks along x.</param>
/// <param name="Y">Blocks along y.</param>
/// <param name="Z">Blocks along z.</param>
/// <param name="Threads">Threads of a block.</param>
/// <param name="ClusterY">Blocks of a cluster, along y; divides <paramref name="Y"/>.</param>
internal readonly record struct LaunchSize(int X, int Y, int Z, int Threads, int ClusterY = 1);

/// <summary>A kernel of a loaded module.</summary>
internal sealed unsafe class CudaKernel
{
    private readonly DriverApi _driver;
    private readonly nint _function;
    private readonly string _name;
    private readonly int _sharedBytes;
    private readonly bool _canOverlap;

    internal CudaKernel(DriverApi driver, nint function, string name, int sharedBytes, bool canOverlap)
    {
        _driver = driver;
        _function = function;
        _name = name;
        _sharedBytes = sharedBytes;
        _canOverlap = canOverlap;
    }

    /// <summary>Puts a launch into a stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="size">Grid, block and cluster.</param>
    /// <param name="arguments">The parameters in the kernel's order.</param>
    /// <param name="overlap">
    /// Start before the stream's previous kernel has ended (programmatic dependent launch). The kernels of this library
    /// wait for it themselves before they touch anything but constants. Devices before Hopper cannot.
    /// </param>
    /// <exception cref="ZqfpException">ZQFP4104: the launch was refused.</exception>
    public void Launch(nint stream, LaunchSize size, scoped ref KernelArguments arguments, bool overlap = false)
    {
        LaunchAttribute* attributes = stackalloc LaunchAttribute[2];
        uint count = 0;
        if (size.ClusterY > 1)
        {
            attributes[count++] = new LaunchAttribute { Id = LaunchAttribute.ClusterDimension, X = 1, Y = (uint)size.ClusterY, Z = 1 };
        }

        if (overlap && _canOverlap)
        {
            attributes[count++] = new LaunchAttribute { Id = LaunchAttribute.ProgrammaticStreamSerialization, X = 1 };
        }

        LaunchConfiguration configuration = new()
        {
            GridX = (uint)size.X,
            GridY = (uint)size.Y,
            GridZ = (uint)size.Z,
            BlockX = (uint)size.Threads,
            BlockY = 1,
            BlockZ = 1,
            SharedBytes = (uint)_sharedBytes,
            Stream = stream,
            Attributes = attributes,
            AttributeCount = count,
        };
        fixed (byte* values = arguments.Values)
        {
            void** pointers = stackalloc void*[KernelArguments.MaxCount];
            for (int i = 0; i < arguments.Count; i++)
            {
                pointers[i] = values + arguments.Offset(i);
            }

            _driver.Check(_driver.LaunchKernel(&configuration, _function, pointers, null), $"Launching {_name}");
        }
    }
}
