namespace Zqfp.CudaOps;

/// <summary>A compiled kernel, binary or PTX, loaded into the context.</summary>
internal sealed unsafe class CudaModule : IDisposable
{
    private readonly DriverApi _driver;
    private readonly bool _canOverlap;
    private nint _handle;

    /// <summary>Loads a cubin, or PTX that ends with a zero.</summary>
    /// <exception cref="ZqfpException">ZQFP4104: the binary is not for this device.</exception>
    public CudaModule(CudaContext context, ReadOnlySpan<byte> cubin)
    {
        ArgumentNullException.ThrowIfNull(context);
        _driver = context.Driver;
        _canOverlap = context.ComputeCapability >= KernelTarget.Hopper;
        nint handle;
        fixed (byte* image = cubin)
        {
            _driver.Check(_driver.ModuleLoadData(&handle, image), "Loading a compiled kernel");
        }

        _handle = handle;
    }

    /// <summary>Finds a kernel by name and allows it so much dynamic shared memory.</summary>
    /// <param name="name">The kernel's unmangled name.</param>
    /// <param name="sharedBytes">Dynamic shared memory of every launch, in bytes.</param>
    public CudaKernel Kernel(string name, int sharedBytes = 0)
    {
        const int MaxDynamicSharedSize = 8;
        ArgumentNullException.ThrowIfNull(name);
        byte[] utf8 = [.. System.Text.Encoding.UTF8.GetBytes(name), 0];
        nint function;
        fixed (byte* text = utf8)
        {
            _driver.Check(_driver.ModuleGetFunction(&function, _handle, text), $"Finding kernel {name}");
        }

        // The default limit, 48 KB, counts the static part too.
        if (sharedBytes > 0)
        {
            _driver.Check(_driver.FunctionSetAttribute(function, MaxDynamicSharedSize, sharedBytes),
                $"Giving {name} {sharedBytes} bytes of shared memory");
        }

        return new CudaKernel(_driver, function, name, sharedBytes, _canOverlap);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_handle != 0)
        {
            _driver.ModuleUnload(_handle);
        }

        _handle = 0;
    }
}
