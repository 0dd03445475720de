namespace Zqfp.CudaOps;

/// <summary>The quantization of tokens of one length and element type, ready to be launched.</summary>
/// <param name="kernels">The device's kernels.</param>
/// <param name="kind">Element type of X.</param>
/// <param name="columns">K.</param>
/// <param name="rotation">Columns of a block that are rotated first; 0 for none.</param>
/// <param name="source">What is quantized.</param>
/// <param name="factor">A, of K columns, which the codes are multiplied with; null for none.</param>
/// <param name="shape">How a block holds a token; null for the usual one.</param>
/// <param name="ranksOfBlock">Ranks of A xq that a block takes, 0 for a kernel of its own; null for the usual number.</param>
internal sealed class TokenQuantization(HopperKernels kernels, ElementKind kind, int columns, int rotation, TokenSource source,
    DeviceFactor? factor = null, QuantizationShape? shape = null, int? ranksOfBlock = null)
{
    /// <summary>
    /// Up to so many tokens times eighths of ranks A xq is taken while they are quantized, for each eight ranks anew; more are worth a
    /// kernel of its own, on tensor cores.
    /// </summary>
    private const long FewEighths = 256;

    private const int MostRanksOfBlock = 8;

    private readonly Plan _few = Plan.Of(kernels, kind, columns, rotation, source, shape ?? QuantizationShape.Of(columns, areMany: false));
    private readonly Plan _many = Plan.Of(kernels, kind, columns, rotation, source, shape ?? QuantizationShape.Of(columns, areMany: true));

    // For 1, 2, 4 and 8 ranks a block.
    private readonly CudaKernel?[] _projecting =
    [
        .. Enumerable.Range(0, factor is null ? 0 : 1 + int.Log2(MostRanksOfBlock))
            .Select(log => kernels.PlanQuantization(
                kind, columns, rotation, source, shape ?? QuantizationShape.Of(columns, areMany: false), 1 << log))
    ];

    private readonly TokenProjection? _projection = factor is null ? null : kernels.PlanProjection(columns, null);
    private CudaKernel? _simple;

    /// <summary>Element type of X.</summary>
    public ElementKind Kind => kind;

    /// <summary>K.</summary>
    public int Columns => columns;

    /// <summary>Puts the quantization into a stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="input">X; the gate of a gate.</param>
    /// <param name="tokens">Where the results go; A xq in <see cref="DeviceTokens.LowRank"/>, where there is A.</param>
    /// <param name="more">What the source reads and writes besides.</param>
    public void Launch(nint stream, ulong input, in DeviceTokens tokens, in SourceArguments more)
    {
        bool inPassing = Quantize(stream, input, tokens, more);
        if (!inPassing)
        {
            _projection?.Launch(stream, tokens, factor!.Address, columns, factor.Rank, overlap: true);
        }
    }

    /// <summary>Whether A xq was taken too.</summary>
    private bool Quantize(nint stream, ulong input, in DeviceTokens tokens, in SourceArguments more)
    {
        // Pieces of eight elements, which are 16 or 32 bytes.
        ulong addresses = input | more.Second | more.Gain | more.Shift | more.Sum | (2 * tokens.Codes);
        if (_few.Kernel is null || addresses % 16 != 0 || more.Stride % 8 != 0)
        {
            _simple ??= kernels.SimpleQuantization(kind, rotation, source);
            LaunchSimply(_simple, stream, input, columns, tokens, more, overlap: true);
            return false;
        }

        int rank = factor is null || ranksOfBlock == 0 || (long)tokens.Count * factor.Rank / MostRanksOfBlock > FewEighths
            ? 0
            : factor.Rank;
        int ranks = ranksOfBlock ?? HopperKernels.RanksOfBlock(tokens.Count, rank);
        KernelArguments arguments = default;
        arguments.Add(input);
        arguments.Add(tokens.Codes);
        arguments.Add(tokens.Scales);
        arguments.Add(rank == 0 ? 0 : factor!.Address);
        arguments.Add(rank == 0 ? 0 : tokens.LowRank);
        arguments.Add(columns);
        arguments.Add(rank);
        arguments.Add(0UL);
        arguments.Add(0);
        if (source != TokenSource.Input)
        {
            arguments.Add(more);
        }

        Plan plan = rank == 0 && tokens.Count > QuantizationShape.FewTokens ? _many : _few;
        CudaKernel kernel = rank == 0 ? plan.Kernel! : _projecting[int.Log2(ranks)]!;
        var size = new LaunchSize(tokens.Count, rank == 0 ? 1 : rank / ranks, 1, plan.Shape.Threads);
        kernel.Launch(stream, size, ref arguments, overlap: true);
        return rank > 0;
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
        kernel.Launch(stream, new LaunchSize(tokens.Count, 1, 1, QuantizationShape.SimpleThreads), ref arguments, overlap);
    }

    private readonly record struct Plan(QuantizationShape Shape, CudaKernel? Kernel)
    {
        public static Plan Of(
            HopperKernels kernels, ElementKind kind, int columns, int rotation, TokenSource source, QuantizationShape shape) =>
            new(shape, kernels.PlanQuantization(kind, columns, rotation, source, shape));
    }
}
