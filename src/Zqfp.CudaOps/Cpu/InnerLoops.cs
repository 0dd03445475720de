namespace Zqfp.CudaOps;

/// <summary>The inner loops that the operators on the processor run on.</summary>
/// <param name="Panels">Those in floating point.</param>
/// <param name="Codes">Those of products of codes, in integers, for few tokens.</param>
/// <param name="Pairs">Those for more; null where the former do them too.</param>
internal sealed record InnerLoops(PanelMath Panels, CodeMath Codes, PairMath? Pairs)
{
    /// <summary>The fastest for this machine.</summary>
    public static InnerLoops Best { get; } = new(PanelMath.Best, CodeMath.Best, PairMath.Best);

    /// <summary>Those that this machine can run, each of any kind at least once; for tests of one against the other.</summary>
    public static IReadOnlyList<InnerLoops> All { get; } =
    [
        .. PanelMath.All.Select(panels => Best with { Panels = panels })
            .Union(CodeMath.All.Select(codes => Best with { Codes = codes, Pairs = codes is DigitMath ? null : PairMath.Best }))
            .Union(PairMath.All.Select(pairs => Best with { Pairs = pairs })),
    ];
}
