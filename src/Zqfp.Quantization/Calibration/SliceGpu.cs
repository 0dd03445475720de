using Zqfp.CudaOps;

namespace Zqfp.Quantization;

/// <summary>The GPU that runs slices.</summary>
/// <param name="Number">Its number, from 0.</param>
/// <param name="HostMemory">Where what it gives is copied to.</param>
internal sealed record SliceGpu(int Number, PinnedPool HostMemory);
