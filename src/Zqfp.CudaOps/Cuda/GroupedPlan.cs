namespace Zqfp.CudaOps;

/// <summary>The product for experts on Hopper cut into one kind of tile, with what does not change from call to call.</summary>
/// <param name="context">The device.</param>
/// <param name="sort">Sorts many rows for this width.</param>
/// <param name="product">The kernel, compiled for these experts and this tile.</param>
/// <param name="constants">Addresses and sizes of the experts.</param>
/// <param name="tile">How the work is cut.</param>
internal sealed class GroupedPlan(
    CudaContext context, CudaKernel sort, CudaKernel product, GroupedArguments constants, GroupedTile tile)
{
    /// <summary>Where the sorted rows of a call lie, and how much room they take.</summary>
    /// <param name="count">Rows of Y.</param>
    public SortedRows Sorted(int count) => new(count, constants.Experts, tile.Tokens);

    /// <summary>Puts the product into a stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="tokens">Codes and scales, with A xq of each row of Y where there is a branch.</param>
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
}
