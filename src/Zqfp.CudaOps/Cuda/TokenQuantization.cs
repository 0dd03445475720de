namespace Zqfp.CudaOps;

/// <summary>The quantization of tokens of one length and element type, ready to be launched.</summary>
/// <param name="kernels">The device's kernels.</param>
/// <param name="kind">Element type of X.</param>
/// <param name="columns">K.</param>
/// <param name="rotation">Columns of a block that are rotated first; 0 for none.</param>
internal sealed class TokenQuantization(HopperKernels kernels, ElementKind kind, int columns, int rotation)
{
    private readonly CudaKernel? _kernel = kernels.PlanQuantization(kind, columns, rotation);

    /// <summary>Element type of X.</summary>
    public ElementKind Kind => kind;

    /// <summary>K.</summary>
    public int Columns => columns;

    /// <summary>Puts the quantization into a stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="input">X.</param>
    /// <param name="tokens">Where the results go.</param>
    public void Launch(nint stream, ulong input, in DeviceTokens tokens)
    {
        if (_kernel is null || input % 16 != 0 || tokens.Codes % 8 != 0)
        {
            kernels.QuantizeTokens(stream, input, kind, columns, tokens, rotation: rotation);
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
        _kernel.Launch(stream, new LaunchSize(tokens.Count, 1, 1, HopperKernels.QuantizeThreads), ref arguments, overlap: true);
    }
}
