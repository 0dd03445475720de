namespace Zqfp.CudaOps;

/// <summary>
/// The layers of a product's experts on the device, one behind another, with the kernels that know each row's expert: packed where the
/// device and the layers suit, else as the model stores them.
/// </summary>
internal sealed class DeviceExperts : IDisposable
{
    private const int RowsOfBlock = 8, Threads = 256, MostBlocksOfRows = 32768, Run = 16, RunOfProjection = 8, PlaceAlignment = 16;

    private readonly OwnedMemory _owned;
    private readonly PackedExperts? _packed;

    // One of each for codes, or for tokens in float and in float16.
    private readonly (ElementKind? Tokens, CudaKernel? Product, CudaKernel? Projection)[] _forTokens;
    private readonly SimpleWeight _first;
    private readonly ulong _factorA;
    private readonly int _experts;

    private DeviceExperts(
        OwnedMemory owned, CudaContext context, HopperKernels kernels, IReadOnlyList<LinearConstants> experts, ElementKind output)
    {
        _owned = owned;
        LinearConstants one = experts[0];
        _experts = experts.Count;
        int rank = (one.Rank + 7) / 8 * 8;
        bool isScaled = !one.GroupScales.IsEmpty;
        var memory = new ExpertMemory(owned, context, experts);
        _factorA = rank == 0 ? 0 : memory.Join<Half>(expert =>
            DeviceWeight.PadRows(expert.LowRankA.Span, expert.Rank, one.Columns, rank, one.Columns));
        ulong b = rank == 0 ? 0 : memory.Join<Half>(expert =>
            DeviceWeight.PadRows(expert.LowRankB.Span, one.Rows, expert.Rank, one.Rows, rank));
        ulong bias = one.Bias.IsEmpty ? 0 : memory.Join(expert => expert.Bias);
        _packed = PackedExperts.Fit(kernels, experts)
            ? new PackedExperts(
                memory, context, kernels, one, experts.Count, new GroupedArguments { Bias = bias, LowRankB = b, Rank = rank }, _factorA,
                output)
            : null;
        _first = _packed is not null
            ? new SimpleWeight(0, 0, 0, bias, b, rank, one.Rows, one.Columns, one.GroupSize)
            : new SimpleWeight(
                memory.Join(expert => expert.RowCodes()),
                isScaled ? memory.Join(expert => expert.GroupScales) : memory.Join(expert => expert.Exponents),
                isScaled ? 0 : memory.Join(expert => expert.RowScales), bias, b, rank, one.Rows, one.Columns, one.GroupSize);
        bool isWhole = one.Columns % Run == 0 && (one.GroupSize % Run == 0 || one.GroupSize >= one.Columns);
        ElementKind?[] kinds = one.HasQuantizedTokens ? [null] : [ElementKind.Float32, ElementKind.Float16];
        _forTokens =
        [
            .. kinds.Select(kind => (
                kind,
                _packed is null
                    ? kernels.Kernel("expert_gemm", "expert_gemm.cu", 0, Definitions(isScaled, isWhole, kind, one.Format, output))
                    : null,
                rank == 0
                    ? null
                    : kernels.Kernel("project_experts", "project_experts.cu", 0, ProjectionDefinitions(kind, one.Columns)))),
        ];
    }

    /// <summary>The experts as the product of one launch has them; null where they do not suit it.</summary>
    public PackedExperts? Packed => _packed;

    /// <summary>Working memory of a call, in bytes.</summary>
    /// <param name="count">Rows of Y.</param>
    public long ScratchBytes(int count)
    {
        long sorted = _packed?.ScratchBytes(count) ?? 0;
        return _first.Rank == 0 && sorted == 0 ? 0 : SortedOffset(count) + sorted;
    }

    /// <summary>Puts the experts on the device, and compiles what they need.</summary>
    /// <param name="context">The device, current on this thread.</param>
    /// <param name="kernels">The device's kernels.</param>
    /// <param name="experts">Their layers, all of one shape.</param>
    /// <param name="output">Element type of Y.</param>
    /// <exception cref="ZqfpException">ZQFP4104: out of memory.</exception>
    public static DeviceExperts Create(
        CudaContext context, HopperKernels kernels, IReadOnlyList<LinearConstants> experts, ElementKind output) =>
        OwnedMemory.For(owned => new DeviceExperts(owned, context, kernels, experts, output));

    /// <summary>The macros that compile the product of unpacked weights.</summary>
    public static IReadOnlyList<string> Definitions(
        bool isScaled, bool isWhole, ElementKind? tokens, WeightFormat format, ElementKind output) =>
    [
        $"SCALED={(isScaled ? 1 : 0)}", $"WHOLE={(isWhole ? 1 : 0)}", $"INPUT={tokens?.ToString() ?? "Fp8"}",
        $"WEIGHT_BITS={(format == WeightFormat.E4M3 ? 8 : 4)}", $"OUTPUT={output}",
    ];

    /// <summary>The macros that compile what takes A x.</summary>
    public static IReadOnlyList<string> ProjectionDefinitions(ElementKind? tokens, int columns) =>
        [$"INPUT={tokens?.ToString() ?? "Fp8"}", $"RUN={(columns % RunOfProjection == 0 ? RunOfProjection : 1)}"];

    /// <summary>Y [count, N], put into the stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="tokens">Codes and scales, or tokens as they are.</param>
    /// <param name="index">The expert of each row of Y, int64 [count].</param>
    /// <param name="count">Rows of Y: a multiple of the tokens, at least one.</param>
    /// <param name="scratch">Working memory of <see cref="ScratchBytes"/>, whose counters of other products are left alone.</param>
    /// <param name="output">Y. Rows whose index names no expert come out as NaN.</param>
    /// <param name="kind">Element type of the tokens; null for codes.</param>
    /// <param name="plan">How packed experts are multiplied; null for the usual way.</param>
    /// <exception cref="ZqfpException">ZQFP4108: packed experts, and codes that do not begin at a multiple of 16 bytes.</exception>
    public void Multiply(
        nint stream, in DeviceTokens tokens, ulong index, int count, ulong scratch, ulong output, ElementKind? kind,
        GroupedPlan? plan = null)
    {
        (_, CudaKernel? product, CudaKernel? projection) = _forTokens[0].Tokens == kind ? _forTokens[0] : _forTokens[1];
        var values = new ExpertArguments
        {
            Layer = new SimpleArguments
            {
                Weight = _first,
                Tokens = tokens.Codes,
                TokenScales = tokens.Scales,
                Output = output,
                Count = count,
            },
            LowRankA = _factorA,
            Projected = scratch + Projection.CounterBytes,
            Index = index,
            PerToken = count / tokens.Count,
            Experts = _experts,
        };
        int blocks = Math.Min(count, MostBlocksOfRows);
        plan ??= _packed?.For(count);
        if (projection is not null && plan?.Sorted(count).HaveKernel != true)
        {
            KernelArguments projected = default;
            projected.Add(values);
            projection.Launch(stream, new LaunchSize(blocks, _first.Rank / 8, 1, Threads), ref projected, overlap: true);
        }

        if (plan is not null)
        {
            if (tokens.Codes % PlaceAlignment != 0)
            {
                throw new ZqfpException("ZQFP4108",
                    "Codes of tokens for experts with FP4 weights must begin at a multiple of 16 bytes in device memory, as what a "
                    + "provider allocates does.");
            }

            plan.Launch(
                stream, tokens with { LowRank = values.Projected }, index, count, scratch + (ulong)SortedOffset(count), output);
            return;
        }

        KernelArguments arguments = default;
        arguments.Add(values);
        LaunchSize size = new((_first.Rows + RowsOfBlock - 1) / RowsOfBlock, blocks, 1, Threads);
        product!.Launch(stream, size, ref arguments, overlap: true);
    }

    /// <inheritdoc/>
    public void Dispose() => _owned.Dispose();

    /// <summary>Behind the counters that other products leave at zero, and A x.</summary>
    private long SortedOffset(int count)
    {
        long bytes = Projection.CounterBytes + ((long)count * _first.Rank * sizeof(float));
        return (bytes + PlaceAlignment - 1) / PlaceAlignment * PlaceAlignment;
    }
}
