namespace Zqfp.CudaOps;

/// <summary>What a quantization quantizes; the numbers are those of the kernels' SOURCE.</summary>
internal enum TokenSource
{
    /// <summary>Its input.</summary>
    Input = 0,

    /// <summary>The RMS norm of its input, or of the sum of two.</summary>
    RmsNorm = 1,

    /// <summary>The layer norm of its input, or of the sum of two.</summary>
    LayerNorm = 2,

    /// <summary>SiLU of its input times another.</summary>
    Gate = 3,
}
