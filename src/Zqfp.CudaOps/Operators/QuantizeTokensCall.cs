
namespace Zqfp.CudaOps;

/// <summary>The tensors of one call of <c>QuantizeTokens</c>, checked against the operator's rules.</summary>
internal readonly ref struct QuantizeTokensCall
{
    private QuantizeTokensCall(OrtTensorView x, OrtTensorView codes, OrtTensorView scales, int tokens, int columns)
    {
        X = x;
        Codes = codes;
        Scales = scales;
        Tokens = tokens;
        Columns = columns;
    }

    /// <summary>X, [..., K], float or float16.</summary>
    public OrtTensorView X { get; }

    /// <summary>Xq, of the shape of X, to be written.</summary>
    public OrtTensorView Codes { get; }

    /// <summary>Sx, [..., 1], to be written.</summary>
    public OrtTensorView Scales { get; }

    /// <summary>Z, [..., R], to be written; absent where nothing is projected.</summary>
    public OrtTensorView Projections { get; private init; }

    /// <summary>M: the product of all dimensions of X but the last.</summary>
    public int Tokens { get; }

    /// <summary>K.</summary>
    public int Columns { get; }

    /// <summary>Reads the input of a call and makes its outputs.</summary>
    /// <param name="context">The call.</param>
    /// <param name="rotation">The node's rotation.</param>
    /// <param name="projection">The node's A.</param>
    /// <exception cref="ZqfpException">The input breaks a rule of the operator.</exception>
    public static QuantizeTokensCall Read(in OrtKernelContext context, TokenRotation rotation, ProjectionShape projection)
    {
        OrtTensorView x = context.Input(0);
        (int tokens, int columns) = Require.FloatTokens(x);
        rotation.Require(columns);
        ReadOnlySpan<long> shape = x.Shape;
        Span<long> scaleShape = stackalloc long[OrtTensorView.MaxRank];
        shape.CopyTo(scaleShape);
        scaleShape[shape.Length - 1] = 1;
        return new QuantizeTokensCall(
            x,
            context.Output(0, OrtElementType.Float8E4M3FN, shape),
            context.Output(1, OrtElementType.Float, scaleShape[..shape.Length]),
            tokens,
            columns)
        {
            Projections = projection.Make(context, columns, shape),
        };
    }
}
