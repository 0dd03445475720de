namespace Zqfp.CudaOps;

/// <summary>Where the heavy operators of a CPU session compute.</summary>
public enum OperatorDevice
{
    /// <summary>On the processor.</summary>
    Cpu,

    /// <summary>
    /// <c>MatMulW4A8</c> and <c>MatMulW4A8Scaled</c> on the first NVIDIA Hopper GPU, with weights kept there and activations
    /// copied; all other operators on the processor.
    /// </summary>
    Cuda,
}
