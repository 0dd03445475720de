namespace Zqfp.CudaOps;

/// <summary>
/// A quantized linear layer on the device and the choice of its kernel: the fused one where the packed layout holds the layer,
/// else the simple one. Y comes in float32 or float16; the two-pass path writes bfloat16 only and is not taken here.
/// </summary>
internal sealed class DeviceLinear : IDisposable
{
    private readonly CudaContext _context;
    private readonly DeviceWeight? _packed;
    private readonly DeviceMemory? _factorA;
    private readonly DeviceMemory?[] _owned;
    private readonly SimpleWeight _simple;

    private DeviceLinear(CudaContext context, LinearConstants constants)
    {
        _context = context;
        Rows = constants.Rows;
        Columns = constants.Columns;
        Rank = (constants.Rank + 7) / 8 * 8;
        if (constants.FitsPackedLayout)
        {
            var layout = new PackedLayout(Rows, Columns, constants.PackedGroupSize, !constants.GroupScales.IsEmpty);
            _packed = DeviceWeight.Create(context, new WeightData(
                layout, constants.Codes, constants.Exponents, constants.RowScales, constants.GroupScales, constants.Bias,
                constants.LowRankA, constants.LowRankB, constants.Rank));
            _factorA = _packed.LowRankA;
            _owned = [];
            return;
        }

        DeviceMemory codes = DeviceMemory.From(context, constants.RowCodes().Span);
        DeviceMemory groupScales = constants.GroupScales.IsEmpty
            ? DeviceMemory.From(context, constants.Exponents.Span)
            : DeviceMemory.From(context, constants.GroupScales.Span);
        DeviceMemory? rowScales = constants.GroupScales.IsEmpty ? DeviceMemory.From(context, constants.RowScales.Span) : null;
        DeviceMemory? bias = constants.Bias.IsEmpty ? null : DeviceMemory.From(context, constants.Bias.Span);
        _factorA = Rank == 0
            ? null
            : DeviceMemory.From<Half>(context, DeviceWeight.PadRows(constants.LowRankA.Span, constants.Rank, Columns, Rank, Columns));
        DeviceMemory? factorB = Rank == 0
            ? null
            : DeviceMemory.From<Half>(context, DeviceWeight.PadRows(constants.LowRankB.Span, Rows, constants.Rank, Rows, Rank));
        _owned = [codes, groupScales, rowScales, bias, _factorA, factorB];
        _simple = new SimpleWeight(
            codes.Address, groupScales.Address, rowScales?.Address ?? 0, bias?.Address ?? 0, factorB?.Address ?? 0,
            Rank, Rows, Columns, constants.GroupSize);
    }

    /// <summary>N.</summary>
    public int Rows { get; }

    /// <summary>K.</summary>
    public int Columns { get; }

    /// <summary>Rank of the low-rank branch, rounded up to a multiple of 8; 0 without one.</summary>
    public int Rank { get; }

    /// <summary>Puts a layer on the device.</summary>
    /// <param name="context">The device, current on this thread.</param>
    /// <param name="constants">The layer.</param>
    /// <exception cref="ZqfpException">ZQFP4104: out of memory.</exception>
    public static DeviceLinear Create(CudaContext context, LinearConstants constants)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(constants);
        return new DeviceLinear(context, constants);
    }

    /// <summary>Y [M, N] = Sx * (W xq + B (A xq)) + bias, put into the stream.</summary>
    /// <param name="kernels">The device's kernels.</param>
    /// <param name="stream">Stream handle.</param>
    /// <param name="tokens">
    /// Codes and scales; with a low-rank branch also room for A xq [M, <see cref="Rank"/>], which is computed here.
    /// </param>
    /// <param name="output">Y.</param>
    /// <param name="kind">Element type of Y.</param>
    public void Multiply(HopperKernels kernels, nint stream, DeviceTokens tokens, ulong output, ElementKind kind)
    {
        ArgumentNullException.ThrowIfNull(kernels);
        if (_factorA is not null)
        {
            kernels.ProjectTokens(stream, tokens, _factorA.Address, Columns, Rank);
        }

        if (_packed is null)
        {
            kernels.MultiplySimply(stream, _simple, tokens, output, kind);
            return;
        }

        GemmTile tile = GemmTuning.Choose(_context, _packed.Layout, tokens.Count, _packed.Rank);
        kernels.Multiply(stream, _packed, tokens, output, kind, tile);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _packed?.Dispose();
        foreach (DeviceMemory? memory in _owned)
        {
            memory?.Dispose();
        }
    }
}
