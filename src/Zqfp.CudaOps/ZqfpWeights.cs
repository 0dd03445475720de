namespace Zqfp.CudaOps;

/// <summary>
/// In which form a session on a GPU keeps the FP4 weights of <c>MatMulW4A8</c>. M2 scales are powers of two, so that FP8 holds the weights
/// exactly: twice the memory, and prompts are multiplied without decoding (docs/hopper.md).
/// </summary>
public enum ZqfpWeights
{
    /// <summary>Packed, 4 bits a weight: the least memory, the fastest generation. The default.</summary>
    Packed,

    /// <summary>Packed for few tokens and expanded to FP8 for many: three times the memory, the fastest prompts and generation.</summary>
    Both,

    /// <summary>Expanded to FP8 alone: twice the memory of packed weights, fast prompts, slower generation.</summary>
    Expanded,
}
