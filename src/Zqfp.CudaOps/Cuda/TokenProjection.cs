namespace Zqfp.CudaOps;

/// <summary>A kernel that takes A xq of quantized tokens, ready to be launched.</summary>
/// <param name="Kernel">The kernel.</param>
/// <param name="TokensOfBlock">Tokens that a block takes.</param>
/// <param name="Threads">Threads of a block.</param>
/// <param name="HasCount">Whether the number of tokens is a parameter.</param>
internal sealed record TokenProjection(CudaKernel Kernel, int TokensOfBlock, int Threads, bool HasCount)
{
    /// <summary>Puts the kernel into a stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="tokens">The quantized tokens, and where A xq goes.</param>
    /// <param name="factorA">A, float16 [rank, K].</param>
    /// <param name="columns">K.</param>
    /// <param name="rank">A multiple of 8.</param>
    /// <param name="overlap">Start before the previous kernel has ended.</param>
    public void Launch(nint stream, in DeviceTokens tokens, ulong factorA, int columns, int rank, bool overlap)
    {
        KernelArguments arguments = default;
        arguments.Add(tokens.Codes);
        arguments.Add(factorA);
        arguments.Add(tokens.LowRank);
        if (HasCount)
        {
            arguments.Add(tokens.Count);
        }

        arguments.Add(columns);
        arguments.Add(rank);
        int blocks = (tokens.Count + TokensOfBlock - 1) / TokensOfBlock;
        Kernel.Launch(stream, new LaunchSize(blocks, rank / 8, 1, Threads), ref arguments, overlap);
    }
}
