namespace Zqfp.CudaOps;

/// <summary>
/// The tensors of one call of <c>GateQuantizeTokens</c> or <c>ActivateQuantizeTokens</c>, checked against the operator's rules.
/// </summary>
internal readonly ref struct ActivateQuantizeTokensCall
{
    private ActivateQuantizeTokensCall(OrtElementType type, int tokens, int columns)
    {
        Type = type;
        Tokens = tokens;
        Columns = columns;
    }

    /// <summary>Type of both factors.</summary>
    public OrtElementType Type { get; }

    /// <summary>M.</summary>
    public int Tokens { get; }

    /// <summary>K, the columns of Xq.</summary>
    public int Columns { get; }

    /// <summary>Elements from a token to the next in both factors.</summary>
    public int Stride { get; private init; }

    /// <summary>The first value of the first token.</summary>
    public nint Gate { get; private init; }

    /// <summary>What its activation is multiplied with; 0 for nothing.</summary>
    public nint Up { get; private init; }

    /// <summary>Xq, to be written.</summary>
    public OrtTensorView Codes { get; private init; }

    /// <summary>Sx, to be written.</summary>
    public OrtTensorView Scales { get; private init; }

    /// <summary>Z, to be written; absent where nothing is projected.</summary>
    public OrtTensorView Projections { get; private init; }

    /// <summary>Reads the inputs of a call and makes its outputs.</summary>
    /// <param name="context">The call.</param>
    /// <param name="node">The node.</param>
    /// <exception cref="ZqfpException">The inputs break a rule of the operator.</exception>
    public static ActivateQuantizeTokensCall Read(in OrtKernelContext context, ActivationNode node)
    {
        OrtTensorView gate = context.Input(0);
        (int tokens, int stride) = Require.FloatTokens(gate);
        int columns = node.IsPacked ? stride / 2 : stride;
        nint up = 0;
        if (node.IsPacked)
        {
            if (stride % 2 != 0)
            {
                throw new ZqfpException("ZQFP4006", $"Where it holds up too, the last dimension of gate must be even; it is {stride}.");
            }

            up = gate.DataPointer + (columns * OrtElementTypes.BitsPerElement(gate.ElementType) / 8);
        }
        else if (node.IsGated)
        {
            OrtTensorView other = context.Input(GateQuantizeTokensSignature.UpInput);
            Require.Type(other, "up", gate.ElementType);
            Require.Shape(other, "up", "of the shape of gate", gate.Shape);
            up = other.DataPointer;
        }

        node.Rotation.Require(columns);
        Span<long> shape = stackalloc long[OrtTensorView.MaxRank];
        gate.Shape.CopyTo(shape);
        shape = shape[..gate.Shape.Length];
        shape[^1] = columns;
        OrtTensorView codes = context.Output(0, OrtElementType.Float8E4M3FN, shape);
        shape[^1] = 1;
        return new ActivateQuantizeTokensCall(gate.ElementType, tokens, columns)
        {
            Stride = stride,
            Gate = gate.DataPointer,
            Up = up,
            Codes = codes,
            Scales = context.Output(1, OrtElementType.Float, shape),
            Projections = node.Projection.Make(context, columns, shape),
        };
    }
}
