namespace Zqfp.CudaOps;

/// <summary>
/// A layer's fused product cut into one kind of tile, with all that does not change from call to call: the compiled kernel, the
/// constants' addresses, the grid along the rows. Any thread may launch, with the context current.
/// </summary>
internal sealed class GemmPlan
{
    private readonly CudaContext _context;
    private readonly CudaKernel _kernel;
    private readonly GemmArguments _constants;
    private readonly GemmTile _tile;
    private readonly int _tiles;
    private readonly TokenMaps _maps;

    /// <summary>Plans a product.</summary>
    /// <param name="context">The device.</param>
    /// <param name="kernel">The kernel, compiled for this layer and tile.</param>
    /// <param name="weight">The layer, which must stay.</param>
    /// <param name="tile">How the work is cut.</param>
    public GemmPlan(CudaContext context, CudaKernel kernel, DeviceWeight weight, GemmTile tile)
    {
        _context = context;
        _kernel = kernel;
        _tile = tile;
        PackedLayout layout = weight.Layout;
        _maps = new TokenMaps(context, layout.Columns, tile.Tokens);
        _tiles = (layout.RowBlocks + tile.Warpgroups - 1) / tile.Warpgroups;
        _constants = new GemmArguments
        {
            Weights = weight.Blocks.Address,
            RowScales = weight.RowScales.Address,
            Bias = weight.Bias?.Address ?? 0,
            LowRankB = weight.LowRankB?.Address ?? 0,
            LowRankA = weight.LowRankA?.Address ?? 0,
            Rank = weight.Rank,
            Rows = layout.Rows,
            RowBlocks = layout.RowBlocks,
            ColumnBlocks = layout.ColumnBlocks,
            Columns = layout.Columns,
        };
    }

    /// <summary>Puts the product into a stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="tokens">The quantized tokens.</param>
    /// <param name="output">Y.</param>
    /// <param name="overlap">
    /// Start before the previous kernel has ended: the weights are then already on their way when the tokens are ready.
    /// </param>
    public void Launch(nint stream, in DeviceTokens tokens, ulong output, bool overlap)
    {
        int projectors = tokens.Projection == 0 || _constants.Rank == 0 ? 0
            : Projection.Blocks(_constants.Columns, _constants.Rank, _tile);
        if (projectors > 0 && tokens.Count > _tile.Tokens)
        {
            throw new ArgumentException($"A product that computes A xq takes one tile of tokens; {tokens.Count} do not fit {_tile.Tokens}.",
                nameof(tokens));
        }

        KernelArguments arguments = default;
        arguments.Add(_maps.Of(tokens.Codes, tokens.Count));
        arguments.Add(_constants with
        {
            TokenScales = tokens.Scales,
            LowRankX = tokens.LowRank,
            Output = output,
            Tokens = tokens.Count,
            Projectors = projectors,
            Codes = tokens.Codes,
            Counters = tokens.Projection,
            Parts = tokens.Projection + Projection.CounterBytes,
        });
        int tokenTiles = (tokens.Count + _tile.Tokens - 1) / _tile.Tokens;
        int resident = Math.Max(1, _context.Multiprocessors * _tile.BlocksPerMultiprocessor / _tile.Cluster / tokenTiles);
        LaunchSize size = new(projectors + (_tile.Persistent ? Math.Min(_tiles, resident) : _tiles), _tile.Cluster,
            tokenTiles, _tile.Threads, _tile.Cluster);
        _kernel.Launch(stream, size, ref arguments, overlap);
    }
}
