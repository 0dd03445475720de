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
        _plans = CompiledPlans.Of(context, chosen, tile => kernels.PlanDense(weight, output, tile));
    }

    /// <summary>The plan for a number of tokens, at least 1.</summary>
    public DensePlan For(int tokens) => _plans[Math.Min(DenseTile.TokenTiles(tokens), MostTokenTiles) - 1];
}
