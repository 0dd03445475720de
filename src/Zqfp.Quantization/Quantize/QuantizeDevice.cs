using Zqfp.CudaOps;
using Zqfp.Evaluation;

namespace Zqfp.Quantization;

/// <summary>The device that a run quantizes on.</summary>
internal static class QuantizeDevice
{
    private const int MostGpus = 64;

    /// <summary>
    /// The GPU of a run where none is named: the first, and of shards one after the other of those that serve, so that shards of one
    /// machine share them. A task of an array that is given one GPU sees no other.
    /// </summary>
    /// <param name="options">The run.</param>
    /// <param name="isServed">Whether a GPU of a number is there and serves.</param>
    public static int GpuOf(QuantizeOptions options, Func<int, bool> isServed)
    {
        if (options.Device == ZqfpDevice.Cpu || options.Shard is not { } shard)
        {
            return 0;
        }

        int[] gpus = [.. Enumerable.Range(0, MostGpus).Where(isServed)];
        return gpus.Length == 0 ? 0 : gpus[shard.Index % gpus.Length];
    }

    /// <summary>Opens what quantizes layers; null for the processor.</summary>
    /// <exception cref="ZqfpException">ZQFP4101 to ZQFP4104: driver, kernel compiler or a GPU that serves is missing.</exception>
    public static CudaLayerDevice? Open(QuantizeOptions options) =>
        options.Device == ZqfpDevice.Cpu ? null : CudaLayerDevice.Open(options.Gpu, threads: options.Threads);

    /// <summary>Refuses a device that is not there; a merge computes nothing.</summary>
    /// <exception cref="ZqfpException">As <see cref="Open"/>; ZQFP4005: ONNX Runtime has no CUDA provider.</exception>
    public static void Require(QuantizeOptions options)
    {
        if (options.MergesOnly || options.Device is ZqfpDevice.Cpu or ZqfpDevice.Auto)
        {
            return;
        }

        Open(options)!.Dispose();
        if (options.Device == ZqfpDevice.Cuda)
        {
            new SessionSettings(options.Threads, Gpu: options.Gpu).Create(ZqfpDevice.Cuda).Dispose();
        }
    }

    /// <summary>What <see cref="ZqfpDevice.Auto"/> comes to on this machine: as much of the GPU as can be used.</summary>
    public static ZqfpDevice Resolve(QuantizeOptions options, IJobObserver observer)
    {
        if (options.Device != ZqfpDevice.Auto)
        {
            return options.Device;
        }

        foreach (ZqfpDevice device in (ZqfpDevice[])[ZqfpDevice.Cuda, ZqfpDevice.CudaProducts])
        {
            try
            {
                Require(options with { Device = device });
                return device;
            }
            catch (ZqfpException e)
            {
                observer.Note($"Not on the GPU ({(device == ZqfpDevice.Cuda ? "cuda" : "cuda-products")}): {e.Message}", isDetail: true);
            }
        }

        return ZqfpDevice.Cpu;
    }
}
