
namespace Zqfp.CudaOps;

/// <summary>The tensors of one call of a matrix product, checked against the operator's rules.</summary>
internal readonly ref struct MatMulCall
{
    private MatMulCall(OrtTensorView x, OrtTensorView tokenScales, OrtTensorView y, int tokens)
    {
        X = x;
        TokenScales = tokenScales;
        Y = y;
        Tokens = tokens;
    }

    /// <summary>X or Xq, [..., K].</summary>
    public OrtTensorView X { get; }

    /// <summary>Sx, one for each token; absent where activations are not quantized.</summary>
    public OrtTensorView TokenScales { get; }

    /// <summary>Y, [..., N], to be written.</summary>
    public OrtTensorView Y { get; }

    /// <summary>Z [.., R], A's product with the codes; absent where the product takes it itself, or has no low-rank branch.</summary>
    public OrtTensorView Projections { get; private init; }

    /// <summary>M: the product of all dimensions of X but the last.</summary>
    public int Tokens { get; }

    /// <summary>Reads the inputs of a call and makes its output.</summary>
    /// <param name="signature">The operator.</param>
    /// <param name="context">The call.</param>
    /// <param name="rows">N.</param>
    /// <param name="columns">K.</param>
    /// <param name="output">Type of Y.</param>
    /// <param name="projected">R, where tokens come with their products with A; else 0.</param>
    /// <exception cref="ZqfpException">The inputs break a rule of the operator.</exception>
    public static MatMulCall Read(
        MatMulSignature signature, in OrtKernelContext context, int rows, int columns, OrtElementType output, int projected)
    {
        OrtTensorView x = context.Input(0);
        ReadOnlySpan<long> shape = x.Shape;
        if (shape.Length == 0 || shape[^1] != columns)
        {
            throw new ZqfpException("ZQFP4006", $"The last dimension of X must be K = {columns}; X is {Require.Text(shape)}.");
        }
        int tokens = checked((int)OrtElementTypes.ElementCount(shape[..^1]));
        OrtTensorView tokenScales = default;
        if (signature.QuantizedActivations)
        {
            tokenScales = context.Input(1);
            if (tokenScales.ElementCount != tokens)
            {
                throw new ZqfpException(
                    "ZQFP4006", $"Sx must hold one scale for each of the {tokens} tokens; it is {Require.Text(tokenScales.Shape)}.");
            }
        }
        else
        {
            Require.Type(x, "X", OrtElementType.Float, OrtElementType.Float16);
        }

        OrtTensorView projections = default;
        if (projected > 0)
        {
            projections = context.Input(signature.ProjectionInput);
            if (projections.ElementCount != (long)tokens * projected)
            {
                throw new ZqfpException("ZQFP4006",
                    $"Z must hold R = {projected} values for each of the {tokens} tokens; it is {Require.Text(projections.Shape)}.");
            }
        }

        Span<long> outputShape = stackalloc long[OrtTensorView.MaxRank];
        shape.CopyTo(outputShape);
        outputShape[shape.Length - 1] = rows;
        return new MatMulCall(x, tokenScales, context.Output(0, output, outputShape[..shape.Length]), tokens)
        {
            Projections = projections,
        };
    }
}
