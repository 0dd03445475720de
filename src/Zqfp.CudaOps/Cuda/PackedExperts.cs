namespace Zqfp.CudaOps;

/// <summary>Experts whose weights lie packed on a Hopper, one behind another, and the product of all of them in one launch.</summary>
internal sealed class PackedExperts
{
    private readonly CudaContext _context;
    private readonly HopperKernels _kernels;
    private readonly GroupedArguments _constants;
    private readonly ElementKind _output;
    private readonly ulong _factorA;
    private readonly GroupedPlan[] _plans;

    /// <summary>Packs the experts, and compiles the product for every width.</summary>
    /// <param name="memory">Copies a part of every expert to the device.</param>
    /// <param name="context">The device.</param>
    /// <param name="kernels">Its kernels.</param>
    /// <param name="one">The first expert.</param>
    /// <param name="experts">How many there are.</param>
    /// <param name="shared">Addresses of bias and B, and the rank rounded up to 8.</param>
    /// <param name="factorA">Address of A, or 0.</param>
    /// <param name="output">Element type of Y.</param>
    public PackedExperts(
        ExpertMemory memory, CudaContext context, HopperKernels kernels, LinearConstants one, int experts, in GroupedArguments shared,
        ulong factorA, ElementKind output)
    {
        (_context, _kernels, _output, _factorA) = (context, kernels, output, factorA);
        PackedLayout layout = new(one.Rows, one.Columns, one.PackedGroupSize, !one.GroupScales.IsEmpty);
        Layout = layout;
        _constants = shared with
        {
            Weights = memory.Join<byte>(expert =>
                layout.FloatScales ? layout.Pack(expert.Codes, expert.GroupScales) : layout.Pack(expert.Codes, expert.Exponents)),
            RowScales = memory.Join<float>(expert => DeviceWeight.PadRowScales(layout, expert.RowScales.Span)),
            Rows = layout.Rows,
            RowBlocks = layout.RowBlocks,
            ColumnBlocks = layout.ColumnBlocks,
            Columns = layout.Columns,
            Experts = experts,
        };
        GroupedTile[] tiles =
            [.. GroupedTuning.Widths.Select(width => GroupedTuning.Choose(layout, width, context.SharedMemoryPerBlock))];
        _plans = CompiledPlans.Of(context, tiles, Plan);
    }

    /// <summary>Sizes and group size of one expert.</summary>
    public PackedLayout Layout { get; }

    /// <summary>Address of the packed blocks of all experts.</summary>
    public ulong Blocks => _constants.Weights;

    /// <summary>Whether experts can lie so.</summary>
    public static bool Fit(HopperKernels kernels, IReadOnlyList<LinearConstants> experts) =>
        kernels.HasFusedProduct && experts.Count <= SortedRows.MostExperts && experts.All(expert => expert.FitsPackedLayout);

    /// <summary>Working memory for the sorted rows of a call, in bytes.</summary>
    /// <param name="count">Rows of Y.</param>
    public long ScratchBytes(int count) => new SortedRows(count, _constants.Experts, GroupedTuning.Widths[0]).Bytes;

    /// <summary>The product for so many rows of Y.</summary>
    public GroupedPlan For(int count) => _plans[GroupedTuning.PlaceOf(count, _constants.Experts)];

    /// <summary>The product cut into a kind of tile.</summary>
    public GroupedPlan Plan(GroupedTile tile) => new(
        _context,
        _kernels.Kernel("sort_experts", "sort_experts.cu", SortedRows.SharedBytes(_constants.Experts), [$"TOKENS={tile.Tokens}"]),
        _constants.Rank == 0 ? null : _kernels.Kernel("project_tiles", "project_tiles.cu", 0, [$"TOKENS={tile.Tokens}"]),
        _kernels.Kernel(
            "grouped_gemm", "grouped_gemm.cu", tile.SharedBytes(Layout),
            tile.Definitions(Layout, _constants.Rank, _constants.Bias != 0, _output)),
        _constants,
        _factorA,
        tile);
}
