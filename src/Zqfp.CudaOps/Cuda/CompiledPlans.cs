using System.Runtime.ExceptionServices;

namespace Zqfp.CudaOps;

/// <summary>Plans of one layer by tile, each of which takes a kernel to be compiled.</summary>
internal static class CompiledPlans
{
    /// <summary>A plan for each of <paramref name="choices"/>, on all cores; equal tiles have one.</summary>
    /// <param name="context">The device.</param>
    /// <param name="choices">The tiles, in the order wanted.</param>
    /// <param name="plan">Compiles what a tile needs.</param>
    /// <exception cref="ZqfpException">What the first of <paramref name="plan"/> threw.</exception>
    public static TPlan[] Of<TTile, TPlan>(CudaContext context, TTile[] choices, Func<TTile, TPlan> plan)
        where TTile : struct
    {
        TTile[] tiles = [.. choices.Distinct()];
        var made = new TPlan[tiles.Length];
        try
        {
            Parallel.For(0, tiles.Length, i =>
            {
                context.MakeCurrent();
                made[i] = plan(tiles[i]);
            });
        }
        catch (AggregateException e) when (e.InnerException is ZqfpException first)
        {
            ExceptionDispatchInfo.Throw(first);
        }

        Dictionary<TTile, TPlan> plans = tiles.Zip(made).ToDictionary();
        return Array.ConvertAll(choices, tile => plans[tile]);
    }
}
