namespace Zqfp.CudaOps;

/// <summary>Device addresses and sizes of a layer whose weights lie in E4M3, one scale a row.</summary>
/// <param name="Codes">E4M3 [N, K].</param>
/// <param name="RowScales">S [N].</param>
/// <param name="Bias">[N], or 0.</param>
/// <param name="LowRankB">float16 [N, rank], or 0.</param>
/// <param name="Rank">Rank of the branch, a multiple of 8; 0 without one.</param>
/// <param name="Rows">N.</param>
/// <param name="Columns">K.</param>
internal readonly record struct DenseWeight(
    ulong Codes, ulong RowScales, ulong Bias, ulong LowRankB, int Rank, int Rows, int Columns);

/// <summary>A layer's product with E4M3 weights cut into one kind of tile. Any thread may launch, with the context current.</summary>
internal sealed class DensePlan
{
    private readonly CudaKernel _kernel;
    private readonly DenseTile _tile;
    private readonly DenseArguments _constants;
    private readonly TensorMap _weights;
    private readonly TokenMaps _tokens;
    private readonly int _rows;
    private readonly int _multiprocessors;

    /// <summary>Plans a product.</summary>
    /// <param name="context">The device.</param>
    /// <param name="kernel">The kernel, compiled for this layer and tile.</param>
    /// <param name="weight">The layer, which must stay.</param>
    /// <param name="tile">How the work is cut.</param>
    public DensePlan(CudaContext context, CudaKernel kernel, in DenseWeight weight, DenseTile tile)
    {
        _kernel = kernel;
        _tile = tile;
        _rows = weight.Rows;
        _multiprocessors = context.Multiprocessors;
        _weights = TensorMap.ForRows(context, weight.Codes, weight.Rows, weight.Columns, tile.Features);
        _tokens = new TokenMaps(context, weight.Columns, DenseTile.BoxTokens);
        _constants = new DenseArguments
        {
            RowScales = weight.RowScales,
            Bias = weight.Bias,
            LowRankB = weight.LowRankB,
            Rank = weight.Rank,
            Rows = weight.Rows,
            ColumnBlocks = (weight.Columns + DenseTile.Columns - 1) / DenseTile.Columns,
        };
    }

    /// <summary>Puts the product into a stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="tokens">The quantized tokens, with A xq where the layer has a branch.</param>
    /// <param name="output">Y.</param>
    /// <param name="overlap">Start before the previous kernel has ended.</param>
    public void Launch(nint stream, in DeviceTokens tokens, ulong output, bool overlap)
    {
        int tiles = _tile.Tiles(tokens.Count, _rows);
        KernelArguments arguments = default;
        arguments.Add(_tokens.Of(tokens.Codes, tokens.Count));
        arguments.Add(_weights);
        arguments.Add(_constants with
        {
            TokenScales = tokens.Scales,
            LowRankX = tokens.LowRank,
            Output = output,
            Tokens = tokens.Count,
            TokenTiles = DenseTile.TokenTiles(tokens.Count),
            Tiles = tiles,
        });
        LaunchSize size = new(Math.Min(tiles, _multiprocessors), 1, 1, DenseTile.Threads);
        _kernel.Launch(stream, size, ref arguments, overlap);
    }
}
