namespace Zqfp.CudaOps;

/// <summary>
/// A quantized linear layer on the device with its kernels: the fused one where the packed layout holds the layer, the one for many tokens
/// where its weights lie in E4M3, else those that read its constants as the model stores them. Y comes in float32 or float16.
/// </summary>
internal sealed class DeviceLinear : IDisposable
{
    /// <summary>So many tokens at least are better multiplied with E4M3 weights than with packed ones, where the layer has both.</summary>
    private const int ManyTokens = 129;

    private readonly OwnedMemory _owned;
    private readonly LayerPlans? _plans;
    private readonly DensePlans? _expanded;
    private readonly int _expandedFrom;
    private readonly DeviceMemory? _factorA;

    // One of each for codes, or for tokens in float and in float16.
    private readonly (ElementKind? Tokens, TokenProjection? Projection, UnpackedPlan? Unpacked)[] _forTokens;

    private DeviceLinear(
        OwnedMemory owned, CudaContext context, HopperKernels kernels, LinearConstants constants, ElementKind output, ZqfpWeights weights)
    {
        _owned = owned;
        Rows = constants.Rows;
        Columns = constants.Columns;
        Rank = (constants.Rank + 7) / 8 * 8;
        ElementKind?[] tokens = constants.HasQuantizedTokens ? [null] : [ElementKind.Float32, ElementKind.Float16];
        bool fitsDense = kernels.HasFusedProduct && constants.HasQuantizedTokens && constants.GroupScales.IsEmpty
            && DenseTile.Fits(Rows, Columns);
        if (constants.FitsPackedLayout && kernels.HasFusedProduct)
        {
            var layout = new PackedLayout(Rows, Columns, constants.PackedGroupSize, !constants.GroupScales.IsEmpty);
            DeviceWeight packed = owned.Add(DeviceWeight.Create(context, new WeightData(
                layout, constants.Codes, constants.Exponents, constants.RowScales, constants.GroupScales, constants.Bias,
                constants.LowRankA, constants.LowRankB, constants.Rank)));
            _factorA = packed.LowRankA;
            _expanded = fitsDense && weights != ZqfpWeights.Packed ? ExpandedLayer.Of(owned, context, kernels, packed, output) : null;
            _forTokens = [(null, Project(null), null)];
            if (weights == ZqfpWeights.Expanded && _expanded is not null)
            {
                packed.Blocks.Dispose();
                return;
            }

            _expandedFrom = ManyTokens;
            _plans = new LayerPlans(context, kernels, packed, output);
            return;
        }

        // The dense kernel reads one scale a row, which the exponents are part of.
        bool isDense = fitsDense && constants.Format == WeightFormat.E4M3 && constants.GroupSize >= Columns;
        DeviceMemory codes = owned.From(context, constants.RowCodes().Span);
        DeviceMemory? groupScales = isDense
            ? null
            : owned.FromAny(context, constants.GroupScales) ?? owned.FromAny(context, constants.Exponents);
        DeviceMemory? rowScales = isDense || !constants.GroupScales.IsEmpty ? null : owned.FromAny(context, constants.RowScales);
        DeviceMemory? bias = owned.FromAny(context, constants.Bias);
        _factorA = Rank == 0 || constants.LowRankA.IsEmpty
            ? null
            : owned.From<Half>(context, DeviceWeight.PadRows(constants.LowRankA.Span, constants.Rank, Columns, Rank, Columns));
        DeviceMemory? factorB = Rank == 0
            ? null
            : owned.From<Half>(context, DeviceWeight.PadRows(constants.LowRankB.Span, Rows, constants.Rank, Rows, Rank));
        var weight = new SimpleWeight(
            codes.Address, groupScales?.Address ?? 0, rowScales?.Address ?? 0, bias?.Address ?? 0, factorB?.Address ?? 0,
            Rank, Rows, Columns, constants.GroupSize);
        _expanded = isDense ? ExpandedLayer.Of(owned, context, kernels, constants, weight, output) : null;
        _forTokens =
        [
            .. tokens.Select(kind => (
                kind, Project(kind), isDense ? null : new UnpackedPlan(kernels, weight, constants.Format, kind, output))),
        ];

        TokenProjection? Project(ElementKind? kind) => _factorA is null ? null : kernels.PlanProjection(Columns, kind);
    }

    /// <summary>N.</summary>
    public int Rows { get; }

    /// <summary>K.</summary>
    public int Columns { get; }

    /// <summary>Rank of the low-rank branch, rounded up to a multiple of 8; 0 without one.</summary>
    public int Rank { get; }

    /// <summary>Working memory of a product of so many tokens, in bytes; its first use finds zeros.</summary>
    public long ScratchBytes(int tokens) => _factorA is null ? 0
        : LowRankOffset(tokens) + ((long)tokens * Rank * sizeof(float));

    /// <summary>Puts a layer on the device, and compiles what it needs.</summary>
    /// <param name="context">The device, current on this thread.</param>
    /// <param name="kernels">The device's kernels.</param>
    /// <param name="constants">The layer.</param>
    /// <param name="output">Element type of Y.</param>
    /// <param name="weights">In which form FP4 weights are kept.</param>
    /// <exception cref="ZqfpException">ZQFP4104: out of memory.</exception>
    public static DeviceLinear Create(
        CudaContext context, HopperKernels kernels, LinearConstants constants, ElementKind output, ZqfpWeights weights = ZqfpWeights.Packed)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(constants);
        return OwnedMemory.For(owned => new DeviceLinear(owned, context, kernels, constants, output, weights));
    }

    /// <summary>Y [M, N] = Sx * (W xq + B (A xq)) + bias, put into the stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="given">Codes and scales, or tokens as they are; with A xq where the layer has B alone.</param>
    /// <param name="scratch">
    /// Working memory of <see cref="ScratchBytes"/>, which only kernels of this stream use and only for products; 0 where nothing is
    /// multiplied with A. Its counters are zero between products.
    /// </param>
    /// <param name="output">Y.</param>
    /// <param name="overlap">Start before the stream's previous kernel has ended.</param>
    /// <param name="kind">Element type of the tokens; null for codes.</param>
    public void Multiply(nint stream, in DeviceTokens given, ulong scratch, ulong output, bool overlap, ElementKind? kind = null)
    {
        DeviceTokens tokens = given;
        (_, TokenProjection? projection, UnpackedPlan? unpacked) = _forTokens[0].Tokens == kind ? _forTokens[0] : _forTokens[1];
        if (projection is not null)
        {
            bool inProduct = ProjectsInProduct(tokens.Count);
            tokens = tokens with
            {
                LowRank = scratch + (ulong)LowRankOffset(tokens.Count),
                Projection = inProduct ? scratch : 0,
            };
            if (!inProduct)
            {
                projection.Launch(stream, tokens, _factorA!.Address, Columns, Rank, overlap);
            }
        }

        if (_expanded is not null && tokens.Count >= _expandedFrom)
        {
            _expanded.For(tokens.Count).Launch(stream, tokens, output, overlap);
            return;
        }

        if (_plans is not null)
        {
            _plans.For(tokens.Count).Launch(stream, tokens, output, overlap);
            return;
        }

        unpacked!.Launch(stream, tokens, output, overlap);
    }

    private bool ProjectsInProduct(int tokens) => _plans is not null && Projection.CanServe(tokens, Rank);

    /// <summary>Counters lie before A xq always, so that they stay zero whatever is multiplied.</summary>
    private long LowRankOffset(int tokens) =>
        ProjectsInProduct(tokens) ? Projection.Bytes(Columns, Rank) : Projection.CounterBytes;

    /// <inheritdoc/>
    public void Dispose() => _owned.Dispose();
}
