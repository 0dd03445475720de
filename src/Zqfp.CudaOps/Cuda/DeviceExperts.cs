namespace Zqfp.CudaOps;

/// <summary>The layers of a product's experts on the device, one behind another, with the kernels that know each row's expert.</summary>
internal sealed unsafe class DeviceExperts : IDisposable
{
    private const int RowsOfBlock = 8, Threads = 256, MostBlocksOfRows = 32768, Run = 16;

    private readonly OwnedMemory _owned;

    // One of each for codes, or for tokens in float and in float16.
    private readonly (ElementKind? Tokens, CudaKernel Product, CudaKernel? Projection)[] _forTokens;
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
        DeviceMemory codes = Join(owned, context, experts, expert => expert.RowCodes());
        DeviceMemory groupScales = isScaled
            ? Join(owned, context, experts, expert => expert.GroupScales)
            : Join(owned, context, experts, expert => expert.Exponents);
        DeviceMemory? rowScales = isScaled ? null : Join(owned, context, experts, expert => expert.RowScales);
        DeviceMemory? bias = one.Bias.IsEmpty ? null : Join(owned, context, experts, expert => expert.Bias);
        DeviceMemory? a = rank == 0 ? null : Join<Half>(owned, context, experts, expert =>
            DeviceWeight.PadRows(expert.LowRankA.Span, expert.Rank, one.Columns, rank, one.Columns));
        DeviceMemory? b = rank == 0 ? null : Join<Half>(owned, context, experts, expert =>
            DeviceWeight.PadRows(expert.LowRankB.Span, one.Rows, expert.Rank, one.Rows, rank));
        _factorA = a?.Address ?? 0;
        _first = new SimpleWeight(
            codes.Address, groupScales.Address, rowScales?.Address ?? 0, bias?.Address ?? 0, b?.Address ?? 0, rank, one.Rows, one.Columns,
            one.GroupSize);
        bool isWhole = one.Columns % Run == 0 && (one.GroupSize % Run == 0 || one.GroupSize >= one.Columns);
        ElementKind?[] kinds = one.HasQuantizedTokens ? [null] : [ElementKind.Float32, ElementKind.Float16];
        _forTokens =
        [
            .. kinds.Select(kind => (
                kind,
                kernels.Kernel("expert_gemm", "expert_gemm.cu", 0, Definitions(isScaled, isWhole, kind, one.Format, output)),
                rank == 0 ? null : kernels.Kernel("project_experts", "project_experts.cu", 0, [$"INPUT={kind?.ToString() ?? "Fp8"}"]))),
        ];
    }

    /// <summary>Working memory of a call, in bytes.</summary>
    /// <param name="count">Rows of Y.</param>
    public long ScratchBytes(int count) =>
        _first.Rank == 0 ? 0 : Projection.CounterBytes + ((long)count * _first.Rank * sizeof(float));

    /// <summary>Puts the experts on the device, and compiles what they need.</summary>
    /// <param name="context">The device, current on this thread.</param>
    /// <param name="kernels">The device's kernels.</param>
    /// <param name="experts">Their layers, all of one shape.</param>
    /// <param name="output">Element type of Y.</param>
    /// <exception cref="ZqfpException">ZQFP4104: out of memory.</exception>
    public static DeviceExperts Create(
        CudaContext context, HopperKernels kernels, IReadOnlyList<LinearConstants> experts, ElementKind output) =>
        OwnedMemory.For(owned => new DeviceExperts(owned, context, kernels, experts, output));

    /// <summary>The macros that compile the product.</summary>
    public static IReadOnlyList<string> Definitions(
        bool isScaled, bool isWhole, ElementKind? tokens, WeightFormat format, ElementKind output) =>
    [
        $"SCALED={(isScaled ? 1 : 0)}", $"WHOLE={(isWhole ? 1 : 0)}", $"INPUT={tokens?.ToString() ?? "Fp8"}",
        $"WEIGHT_BITS={(format == WeightFormat.E4M3 ? 8 : 4)}", $"OUTPUT={output}",
    ];

    /// <summary>Y [count, N], put into the stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="tokens">Codes and scales, or tokens as they are.</param>
    /// <param name="index">The expert of each row of Y, int64 [count].</param>
    /// <param name="count">Rows of Y: a multiple of the tokens, at least one.</param>
    /// <param name="scratch">Working memory of <see cref="ScratchBytes"/>, whose counters of other products are left alone.</param>
    /// <param name="output">Y. Rows whose index names no expert come out as NaN.</param>
    /// <param name="kind">Element type of the tokens; null for codes.</param>
    public void Multiply(nint stream, in DeviceTokens tokens, ulong index, int count, ulong scratch, ulong output, ElementKind? kind)
    {
        (_, CudaKernel product, CudaKernel? projection) = _forTokens[0].Tokens == kind ? _forTokens[0] : _forTokens[1];
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
        if (projection is not null)
        {
            KernelArguments projected = default;
            projected.Add(values);
            projection.Launch(stream, new LaunchSize(blocks, _first.Rank / 8, 1, Threads), ref projected, overlap: true);
        }

        KernelArguments arguments = default;
        arguments.Add(values);
        LaunchSize size = new((_first.Rows + RowsOfBlock - 1) / RowsOfBlock, blocks, 1, Threads);
        product.Launch(stream, size, ref arguments, overlap: true);
    }

    /// <inheritdoc/>
    public void Dispose() => _owned.Dispose();

    private static DeviceMemory Join<T>(
        OwnedMemory owned, CudaContext context, IReadOnlyList<LinearConstants> experts, Func<LinearConstants, ReadOnlyMemory<T>> part)
        where T : unmanaged
    {
        ReadOnlyMemory<T> next = part(experts[0]);
        long bytes = (long)next.Length * sizeof(T);
        DeviceMemory all = owned.Add(new DeviceMemory(context, Math.Max(1, bytes * experts.Count)));
        all.Upload(next.Span);
        for (int e = 1; e < experts.Count; e++)
        {
            all.Upload(part(experts[e]).Span, offset: e * bytes);
        }

        return all;
    }
}
