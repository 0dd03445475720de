using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>A GPU that quantizes: one layer at a time, whose matrices are all that it holds.</summary>
/// <remarks>Not thread safe: what quantizes is one thread, whichever it is.</remarks>
internal sealed class CudaLayerDevice : ILayerDevice, IDisposable
{
    private readonly HopperKernels _kernels;

    /// <summary>Opens a device.</summary>
    /// <param name="context">The device; closed with this.</param>
    /// <param name="kernels">Its kernels; closed with this.</param>
    /// <param name="threads">Threads of the processor that serve it; 0 for one a processor.</param>
    public CudaLayerDevice(CudaContext context, HopperKernels kernels, int threads = 0)
    {
        Context = context;
        _kernels = kernels;
        Stream = new CudaStream(context);
        Products = new ExactProducts(kernels, Stream);
        HostMemory = new PinnedPool(context, threads);
    }

    /// <summary>Opens a device of this machine.</summary>
    /// <param name="ordinal">Its number, from 0.</param>
    /// <param name="cacheFolder">Where compiled kernels are kept; null for the usual place.</param>
    /// <param name="threads">Threads of the processor that serve it; 0 for one a processor.</param>
    /// <exception cref="ZqfpException">ZQFP4101, ZQFP4102, ZQFP4103: driver, compiler or device is missing or too old.</exception>
    public static CudaLayerDevice Open(int ordinal, string? cacheFolder = null, int threads = 0)
    {
        var context = new CudaContext(ordinal);
        try
        {
            if (context.SharedMemoryPerBlock < DeviceHessianFactor.SharedBytes)
            {
                throw new ZqfpException("ZQFP4103",
                    $"{context.Name} gives a block {context.SharedMemoryPerBlock} bytes of shared memory; quantizing needs "
                    + $"{DeviceHessianFactor.SharedBytes}, as compute capabilities 8.0, 9.0 and 10.0 have. Quantize on the CPU.");
            }

            var compiler = KernelCompiler.For(new KernelCache(cacheFolder), context.ComputeCapability);
            return new CudaLayerDevice(context, new HopperKernels(context, compiler.Compile), threads);
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>The device.</summary>
    public CudaContext Context { get; }

    /// <summary>What orders the work.</summary>
    public CudaStream Stream { get; }

    /// <summary>Its matrix products.</summary>
    public ExactProducts Products { get; }

    /// <summary>Memory of the host that is copied to and from it.</summary>
    public PinnedPool HostMemory { get; }

    /// <inheritdoc/>
    public bool Serves(QuantizationOptions options) => options.BlockSize == DeviceMatrix.Tile;

    /// <inheritdoc/>
    public IGramSums Gram(int columns, int[] beside)
    {
        Context.MakeCurrent();
        return new DeviceGramSums(this, columns, beside);
    }

    /// <inheritdoc/>
    public ILayerSteps Open(Hessian? hessian, Workers workers) => new DeviceLayerSteps(this, hessian, workers);

    /// <summary>A kernel.</summary>
    public CudaKernel Kernel(string name, string source, int sharedBytes = 0, params string[] definitions) =>
        _kernels.Kernel(name, source, sharedBytes, definitions);

    /// <summary>Puts a launch into the stream.</summary>
    public void Launch(CudaKernel kernel, int x, int y, int threads, scoped ref KernelArguments arguments) =>
        kernel.Launch(Stream.Handle, new LaunchSize(x, y, 1, threads), ref arguments);

    /// <summary>A matrix of zeros.</summary>
    public DeviceMatrix Matrix(int rows, int columns) => new(Context, rows, columns, Stream);

    /// <summary>Values on the device.</summary>
    public DeviceMemory Upload<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        var memory = new DeviceMemory(Context, Math.Max(1, (long)values.Length * System.Runtime.CompilerServices.Unsafe.SizeOf<T>()));
        memory.Upload(values, Stream.Handle);
        return memory;
    }

    /// <summary>So many bytes, set to 0.</summary>
    public DeviceMemory Zeros(long bytes)
    {
        var memory = new DeviceMemory(Context, bytes);
        memory.Fill(0, Stream.Handle);
        return memory;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Context.MakeCurrent();
        HostMemory.Dispose();
        Stream.Dispose();
        _kernels.Dispose();
        Context.Dispose();
    }
}
