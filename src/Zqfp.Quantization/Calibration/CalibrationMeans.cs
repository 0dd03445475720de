using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>What runs a model's slices over the calibration windows: batches, who computes, and where what is kept lies.</summary>
/// <param name="options">The run's.</param>
/// <param name="facts">Of the model.</param>
/// <param name="batches">The windows, of <see cref="SliceRunner.Batches"/>.</param>
/// <param name="use">How the work is divided within the memory allowed.</param>
/// <param name="device">What quantizes layers; null for the processor.</param>
/// <param name="cancellation">Ends it.</param>
internal sealed class CalibrationMeans(
    QuantizeOptions options, ModelFacts facts, IReadOnlyList<TokenBatch> batches, MemoryUse use, CudaLayerDevice? device,
    CancellationToken cancellation)
{
    private readonly TokenFeeds _feeds = new(facts);
    private readonly SliceGpu? _gpu = options.Device == ZqfpDevice.Cuda ? new SliceGpu(options.Gpu, device!.HostMemory) : null;

    /// <summary>The windows.</summary>
    public IReadOnlyList<TokenBatch> Batches => batches;

    /// <summary>Who computes.</summary>
    public Workers Workers { get; } = Workers.Of(options.Threads, cancellation, device);

    /// <summary>Where values between slices lie; null for memory.</summary>
    public ScratchPlace? Scratch { get; } = !use.SpillsBoundaries
        ? null
        : new ScratchPlace(options.WorkFolder is { } work ? WorkFolderLocks.PathOf(work, options.Shard) : options.OutputPath);

    /// <summary>An empty value of so many batches.</summary>
    public BatchValues NewValues(int count) => new(count, Scratch, _gpu?.HostMemory);

    /// <summary>A runner of a model over some of the batches.</summary>
    /// <param name="model">The model.</param>
    /// <param name="some">Numbers of batches; null for all.</param>
    public SliceRunner Runner(ModelRewriter model, IEnumerable<int>? some = null) => new(
        model, some is null ? batches : [.. some.Select(i => batches[i])], _feeds, Workers, use.TokensAtOnce, Scratch, _gpu);
}
