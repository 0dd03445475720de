using System.Runtime.ExceptionServices;

namespace Zqfp.CudaOps;

/// <summary>The plans of a layer's product with E4M3 weights for every number of tokens, all compiled when the layer is loaded.</summary>
internal sealed class DensePlans
{
    /// <summary>From so many tiles of tokens on, the choice is left as it is.</summary>
    private const int MostTokenTiles = 64;

    private readonly DensePlan[] _plans;

    /// <summary>Compiles, on all cores, what the layer can need.</summary>
    /// <param name="context">The device.</param>
    /// <param name="kernels">Its kernels.</param>
    /// <param name="weight">The layer, which must stay.</param>
    /// <param name="output">Element type of Y.</param>
    public DensePlans(CudaContext context, HopperKernels kernels, DenseWeight weight, ElementKind output)
    {
        DenseTile[] chosen =
        [
            .. Enumerable.Range(1, MostTokenTiles)
                .Select(i => DenseTuning.Choose(context.Multiprocessors, weight.Rows, weight.Columns, i * DenseTile.Tokens)),
        ];
        DenseTile[] tiles = [.. chosen.Distinct()];
        var made = new DensePlan[tiles.Length];
        try
        {
            Parallel.For(0, tiles.Length, i =>
            {
                context.MakeCurrent();
                made[i] = kernels.PlanDense(weight, output, tiles[i]);
            });
        }
        catch (AggregateException e) when (e.InnerException is ZqfpException first)
        {
            ExceptionDispatchInfo.Throw(first);
        }

        Dictionary<DenseTile, DensePlan> plans = tiles.Zip(made).ToDictionary();
        _plans = Array.ConvertAll(chosen, tile => plans[tile]);
    }

    /// <summary>The plan for a number of tokens, at least 1.</summary>
    public DensePlan For(int tokens) => _plans[Math.Min(DenseTile.TokenTiles(tokens), MostTokenTiles) - 1];
}
