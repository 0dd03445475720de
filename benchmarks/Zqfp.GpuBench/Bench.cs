using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>The device and what runs on it.</summary>
internal sealed class Bench : IDisposable
{
    public Bench(string? cacheFolder)
    {
        Context = new CudaContext();
        Compiler = new KernelCompiler(new KernelCache(cacheFolder));
        Kernels = new HopperKernels(Context, Compiler.Compile);
        Stream = new CudaStream(Context);
        Library = CublasLt.IsAvailable ? new CublasLt(Context) : null;
    }

    public CudaContext Context { get; }

    public KernelCompiler Compiler { get; }

    public HopperKernels Kernels { get; }

    public CudaStream Stream { get; }

    public CublasLt? Library { get; }

    /// <summary>Median microseconds of one of <paramref name="repeats"/> launches recorded as a graph.</summary>
    /// <param name="repeats">Launches in the graph.</param>
    /// <param name="launch">Puts launch i into the stream.</param>
    /// <param name="samples">Timed graph launches.</param>
    public double Microseconds(int repeats, Action<int> launch, int samples = 15)
    {
        using CudaGraph graph = Stream.Capture(() =>
        {
            for (int i = 0; i < repeats; i++)
            {
                launch(i);
            }
        });
        using CudaEvent start = new(Context);
        using CudaEvent end = new(Context);
        graph.Launch(Stream);
        graph.Launch(Stream);
        double[] times = new double[samples];
        for (int i = 0; i < samples; i++)
        {
            start.Record(Stream);
            graph.Launch(Stream);
            end.Record(Stream);
            times[i] = end.MillisecondsSince(start) * 1000.0 / repeats;
        }

        Array.Sort(times);
        return times[samples / 2];
    }

    public void Dispose()
    {
        Library?.Dispose();
        Stream.Dispose();
        Kernels.Dispose();
        Context.Dispose();
    }
}
