namespace Zqfp.CudaOps;

/// <summary>Where a quantized model computes.</summary>
public enum ZqfpDevice
{
    /// <summary>On the processor.</summary>
    Cpu,

    /// <summary>
    /// On an NVIDIA GPU, by ONNX Runtime's CUDA provider: the operators are kernels of it, on its stream and in its memory. Fast on
    /// Hopper; on others of compute capability 8.0 or later right rather than fast.
    /// Needs <c>Microsoft.ML.OnnxRuntime.Gpu</c>, CUDA 13's cuBLAS and runtime, and NVRTC.
    /// </summary>
    Cuda,

    /// <summary>
    /// Quantized products on an NVIDIA GPU, with weights kept there and activations copied, everything else on the processor.
    /// Needs a driver and NVRTC, but no CUDA provider.
    /// </summary>
    CudaProducts,

    /// <summary><see cref="Cuda"/> where all it needs is there, else <see cref="Cpu"/>.</summary>
    Auto,
}
