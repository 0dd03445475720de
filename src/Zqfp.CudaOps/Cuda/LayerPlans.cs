namespace Zqfp.CudaOps;

/// <summary>The plans of a layer's fused product for every number of tokens, all compiled when the layer is loaded.</summary>
internal sealed class LayerPlans
{
    /// <summary>From so many wide tiles on, the choice of a tile does not change any more.</summary>
    private const int MostTokenTiles = 256;

    private const int WideTokens = 128;

    private readonly GemmPlan[] _narrow;
    private readonly GemmPlan[] _wide;

    /// <summary>Compiles, on all cores, what the layer can need.</summary>
    /// <param name="context">The device.</param>
    /// <param name="kernels">Its kernels.</param>
    /// <param name="weight">The layer.</param>
    /// <param name="kind">Element type of Y.</param>
    public LayerPlans(CudaContext context, HopperKernels kernels, DeviceWeight weight, ElementKind kind)
    {
        GemmTile[] narrow = [.. ((int[])[8, 16, 32, 64]).Select(tokens => Choose(tokens))];
        GemmTile[] wide = [.. Enumerable.Range(1, MostTokenTiles).Select(tiles => Choose(tiles * WideTokens))];
        GemmPlan[] plans = CompiledPlans.Of(context, [.. narrow, .. wide], tile => kernels.PlanProduct(weight, kind, tile));
        _narrow = plans[..narrow.Length];
        _wide = plans[narrow.Length..];

        GemmTile Choose(int tokens) => GemmTuning.Choose(context, weight.Layout, tokens, weight.Rank);
    }

    /// <summary>The plan for a number of tokens, at least 1.</summary>
    public GemmPlan For(int tokens) => tokens switch
    {
        <= 8 => _narrow[0],
        <= 16 => _narrow[1],
        <= 32 => _narrow[2],
        <= 64 => _narrow[3],
        _ => _wide[Math.Min((tokens + WideTokens - 1) / WideTokens, MostTokenTiles) - 1],
    };
}
