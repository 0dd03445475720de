using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>Experts of random weights on the device, with memory for their products. A few problems repeat: made soon.</summary>
internal sealed class ExpertSet : IDisposable
{
    private const int Distinct = 4;

    private readonly Bench _bench;
    private readonly DeviceMemory _scratch;

    public ExpertSet(
        Bench bench, int experts, int rows, int columns, int group, int mostRows, int rank = 0, bool bias = false, bool floatScales = false,
        ElementKind output = ElementKind.Float16)
    {
        _bench = bench;
        Problems =
        [
            .. Enumerable.Range(0, Math.Min(experts, Distinct)).Select(i =>
                new Problem(rows, columns, group, seed: i + 1, rank, bias, floatScales)),
        ];
        LinearConstants[] layers = [.. Problems.Select(Constants)];
        Count = experts;
        Experts = DeviceExperts.Create(
            bench.Context, bench.Kernels, [.. Enumerable.Range(0, experts).Select(e => layers[e % layers.Length])], output);
        _scratch = new DeviceMemory(bench.Context, Math.Max(1, Experts.ScratchBytes(mostRows)));
        _scratch.Fill(0, bench.Stream.Handle);
    }

    public int Count { get; }

    public Problem[] Problems { get; }

    public DeviceExperts Experts { get; }

    public PackedExperts Packed => Experts.Packed ?? throw new InvalidOperationException("These experts are not packed.");

    public int Rows => Problems[0].Layout.Rows;

    public int Columns => Problems[0].Layout.Columns;

    /// <summary>The tile of a width.</summary>
    public GroupedTile Tile(int width) => GroupedTuning.Choose(Packed.Layout, width, _bench.Context.SharedMemoryPerBlock);

    /// <summary>A tile with as many stages as fit.</summary>
    public GroupedTile Fit(GroupedTile tile) => tile.WithDeepestRing(Packed.Layout, _bench.Context.SharedMemoryPerBlock);

    public void Multiply(Batch batch, ulong index, int count, ulong output, GroupedPlan? plan = null) => Experts.Multiply(
        _bench.Stream.Handle, batch.Tokens, index, count, _scratch.Address, output, kind: null, plan);

    public void Dispose()
    {
        Experts.Dispose();
        _scratch.Dispose();
    }

    private static LinearConstants Constants(Problem problem)
    {
        WeightData data = problem.Data;
        return new LinearConstants(
            data.Layout.Rows, data.Layout.Columns, data.Layout.GroupSize, data.Codes, data.Exponents, data.RowScales, data.GroupScales,
            data.Bias, data.LowRankA, data.LowRankB, data.Rank);
    }
}
