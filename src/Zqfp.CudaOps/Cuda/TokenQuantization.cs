namespace Zqfp.CudaOps;

/// <summary>The quantization of tokens of one length and element type, ready to be launched.</summary>
/// <param name="kernels">The device's kernels.</param>
/// <param name="kind">Element type of X.</param>
/// <param name="columns">K.</param>
/// <param name="rotation">Columns of a block that are rotated first; 0 for none.</param>
/// <param name="source">What is quantized.</param>
internal sealed class TokenQuantization(HopperKernels kernels, ElementKind kind, int columns, int rotation, TokenSource source)
{
    private readonly CudaKernel? _kernel = kernels.PlanQuantization(kind, columns, rotation, source);
    private CudaKernel? _simple;

    /// <summary>Element type of X.</summary>
    public ElementKind Kind => kind;

    /// <summary>K.</summary>
    public int Columns => columns;

    /// <summary>Puts the quantization into a stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="input">X; the gate of a gate.</param>
    /// <param name="tokens">Where the results go.</param>
    /// <param name="more">What the source reads and writes besides.</param>
    public void Launch(nint stream, ulong input, in DeviceTokens tokens, in SourceArguments more)
    {
        // Pieces of eight elements, which are 16 or 32 bytes.
        ulong addresses = input | more.Second | more.Gain | more.Shift | more.Sum | (2 * tokens.Codes);
        if (_kernel is null || addresses % 16 != 0 || more.Stride % 8 != 0)
        {
            _simple ??= kernels.SimpleQuantization(kind, rotation, source);
            LaunchSimply(_simple, stream, input, columns, tokens, more, overlap: true);
            return;
        }

        KernelArguments arguments = default;
        arguments.Add(input);
        arguments.Add(tokens.Codes);
        arguments.Add(tokens.Scales);
        arguments.Add(0UL);
        arguments.Add(0UL);
        arguments.Add(columns);
        arguments.Add(0);
        arguments.Add(0UL);
        arguments.Add(0);
        if (source != TokenSource.Input)
        {
            arguments.Add(more);
        }

        _kernel.Launch(stream, new LaunchSize(tokens.Count, 1, 1, HopperKernels.QuantizeThreads), ref arguments, overlap: true);
    }

    /// <summary>Puts the kernel for tokens of any length and address into a stream.</summary>
    public static void LaunchSimply(
        CudaKernel kernel, nint stream, ulong input, int columns, in DeviceTokens tokens, in SourceArguments more, bool overlap)
    {
        KernelArguments arguments = default;
        arguments.Add(input);
        arguments.Add(tokens.Codes);
        arguments.Add(tokens.Scales);
        arguments.Add(columns);
        arguments.Add(more);
        kernel.Launch(stream, new LaunchSize(tokens.Count, 1, 1, HopperKernels.QuantizeThreads), ref arguments, overlap);
    }
}
