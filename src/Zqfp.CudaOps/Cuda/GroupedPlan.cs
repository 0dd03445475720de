namespace Zqfp.CudaOps;

/// <summary>The product for experts on Hopper cut into one kind of tile, with what does not change from call to call.</summary>
/// <param name="context">The device.</param>
/// <param name="sort">Sorts many rows for this width.</param>
/// <param name="project">Takes A x of many rows; null without a branch.</param>
/// <param name="product">The kernel, compiled for these experts and this tile.</param>
/// <param name="constants">Addresses and sizes of the experts.</param>
/// <param name="factorA">Address of A, or 0.</param>
/// <param name="tile">How the work is cut.</param>
internal sealed class GroupedPlan(
    CudaContext context, CudaKernel sort, CudaKernel? project, CudaKernel product, GroupedArguments constants, ulong factorA,
    GroupedTile tile)
{
    private const int ThreadsOfProjection = 512, RowsOfProjection = 16;

    /// <summary>Where the sorted rows of a call lie, and how much room they take.</summary>
    /// <param name="count">Rows of Y.</param>
    public SortedRows Sorted(int count) => new(count, constants.Experts, tile.Tokens);

    /// <summary>Puts the product into a stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="tokens">Codes and scales, and where A xq of each row of Y is, or goes if a kernel sorts the rows.</param>
    /// <param name="index">The expert of each row of Y, int64 [count].</param>
    /// <param name="count">Rows of Y.</param>
    /// <param name="place">Working memory for the sorted rows.</param>
    /// <param name="output">Y.</param>
    public void Launch(nint stream, in DeviceTokens tokens, ulong index, int count, ulong place, ulong output)
    {
        SortedRows sorted = Sorted(count);
        if (sorted.HaveKernel)
        {
            sorted.Launch(stream, sort, index, place);
        }

        if (sorted.HaveKernel && project is not null)
        {
            Project(stream, tokens, sorted, count, place);
        }

        KernelArguments arguments = default;
        arguments.Add(constants with
        {
            TokenScales = tokens.Scales,
            LowRankX = tokens.LowRank,
            Output = output,
            Codes = tokens.Codes,
            Index = index,
            Tiles = sorted.HaveKernel ? place : 0,
            Order = sorted.HaveKernel ? place + (ulong)sorted.OrderOffset : 0,
            Count = count,
            PerToken = count / tokens.Count,
        });
        long items = (long)sorted.MostTiles * ((constants.RowBlocks + tile.Warpgroups - 1) / tile.Warpgroups);
        int blocks = (int)Math.Min(items, context.Multiprocessors * tile.BlocksPerMultiprocessor);
        product.Launch(stream, new LaunchSize(blocks, 1, 1, tile.Threads), ref arguments, overlap: true);
    }

    private void Project(nint stream, in DeviceTokens tokens, in SortedRows sorted, int count, ulong place)
    {
        KernelArguments arguments = default;
        arguments.Add(tokens.Codes);
        arguments.Add(factorA);
        arguments.Add(tokens.LowRank);
        arguments.Add(place);
        arguments.Add(place + (ulong)sorted.OrderOffset);
        arguments.Add(constants.Columns);
        arguments.Add(constants.Rank);
        arguments.Add(count / tokens.Count);
        arguments.Add(constants.Experts);
        int parts = Math.Max(1, tile.Tokens / RowsOfProjection);
        LaunchSize size = new(sorted.MostTiles * parts, constants.Rank / 8, 1, ThreadsOfProjection);
        project!.Launch(stream, size, ref arguments, overlap: true);
    }
}
