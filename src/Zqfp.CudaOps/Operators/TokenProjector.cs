namespace Zqfp.CudaOps;

/// <summary>Takes, on the processor, the codes of a quantizing node's tokens times its A.</summary>
internal sealed unsafe class TokenProjector : IDisposable
{
    /// <summary>Nanoseconds that a core takes about for an element of A.</summary>
    public const double ElementCost = 0.03;

    private readonly TokenFactor _factor;
    private readonly PanelMath _math;
    private readonly ScratchPool _scratch;

    private TokenProjector(TokenFactor factor, PanelMath math, ScratchPool scratch)
    {
        _factor = factor;
        _math = math;
        _scratch = scratch;
    }

    /// <summary>Packs A; null where there is none.</summary>
    /// <exception cref="ZqfpException">ZQFP4006: A is neither float nor float16.</exception>
    public static TokenProjector? Create(ProjectionShape shape, in OrtTensorView factor, PanelMath math, ScratchPool scratch)
    {
        if (shape.IsNone)
        {
            return null;
        }

        using NativeBuffer values = Require.Floats(factor, "A");
        var layout = new GroupLayout(shape.Columns, Math.Max(shape.Columns, 1));
        return new TokenProjector(new TokenFactor(values, shape.Rank, layout), math, scratch);
    }

    /// <summary>A x of a token.</summary>
    /// <param name="codes">Its codes.</param>
    /// <param name="results">Z of all tokens.</param>
    /// <param name="token">Its number.</param>
    public void Project(byte* codes, float* results, int token)
    {
        NativeBuffer place = _scratch.Rent((long)_factor.RowLength * sizeof(float));
        _factor.ProjectCodes(_math, codes, place.Floats, results + ((long)token * _factor.ResultLength));
        _scratch.Return(place);
    }

    /// <inheritdoc/>
    public void Dispose() => _factor.Dispose();
}
