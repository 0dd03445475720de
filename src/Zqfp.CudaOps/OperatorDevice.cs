namespace Zqfp.CudaOps;

/// <summary>Where the heavy operators compute.</summary>
public enum OperatorDevice
{
    /// <summary>On the processor.</summary>
    Cpu,

    /// <summary>
    /// <c>MatMulW4A8</c> and <c>MatMulW4A8Scaled</c> on the first NVIDIA Hopper GPU, with weights kept there and activations
    /// copied; all other operators on the processor.
    /// </summary>
    Cuda,

    /// <summary>
    /// <c>QuantizeTokens</c>, <c>MatMulW4A8</c> and <c>MatMulW4A8Scaled</c> as kernels of ONNX Runtime's CUDA provider: on its
    /// stream, on its memory, nothing copied. The session has to be made with <see cref="OrtSessionOptions.CudaDevice"/>
    /// and a library that has the provider; in one without, the processor computes.
    /// </summary>
    CudaProvider,
}
