namespace Zqfp.CudaOps;

/// <summary>The inner loops that the operators on the processor run on.</summary>
/// <param name="Panels">Those in floating point.</param>
/// <param name="Codes">Those of products of codes, in integers.</param>
internal sealed record InnerLoops(PanelMath Panels, CodeMath Codes)
{
    /// <summary>The fastest for this machine.</summary>
    public static InnerLoops Best { get; } = new(PanelMath.Best, CodeMath.Best);

    /// <summary>Those that this machine can run, each of either kind at least once; for tests of one against the other.</summary>
    public static IReadOnlyList<InnerLoops> All { get; } =
    [
        .. PanelMath.All.Select(panels => new InnerLoops(panels, CodeMath.Best))
            .Union(CodeMath.All.Select(codes => new InnerLoops(PanelMath.Best, codes))),
    ];
}
