namespace Zqfp.CudaOps;

/// <summary>The tensors of one call of <c>GateQuantizeTokens</c>, checked against the operator's rules.</summary>
internal readonly ref struct GateQuantizeTokensCall
{
    private GateQuantizeTokensCall(OrtElementType type, int tokens, int columns)
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

    /// <summary>The first gate.</summary>
    public nint Gate { get; private init; }

    /// <summary>What the first gate is multiplied with.</summary>
    public nint Up { get; private init; }

    /// <summary>Xq, to be written.</summary>
    public OrtTensorView Codes { get; private init; }

    /// <summary>Sx, to be written.</summary>
    public OrtTensorView Scales { get; private init; }

    /// <summary>Z, to be written; absent where nothing is projected.</summary>
    public OrtTensorView Projections { get; private init; }

    /// <summary>Reads the inputs of a call and makes its outputs.</summary>
    /// <param name="context">The call.</param>
    /// <param name="rotation">The node's rotation.</param>
    /// <param name="projection">The node's A.</param>
    /// <param name="isPacked">Whether the first input holds both factors.</param>
    /// <exception cref="ZqfpException">The inputs break a rule of the operator.</exception>
    public static GateQuantizeTokensCall Read(
        in OrtKernelContext context, TokenRotation rotation, ProjectionShape projection, bool isPacked)
    {
        OrtTensorView gate = context.Input(0);
        (int tokens, int stride) = Require.FloatTokens(gate);
        int columns = isPacked ? stride / 2 : stride;
        nint up;
        if (isPacked)
        {
            if (stride % 2 != 0)
            {
                throw new ZqfpException("ZQFP4006", $"Without up, the last dimension of gate must be even; it is {stride}.");
            }

            up = gate.DataPointer + (columns * OrtElementTypes.BitsPerElement(gate.ElementType) / 8);
        }
        else
        {
            OrtTensorView other = context.Input(GateQuantizeTokensSignature.UpInput);
            Require.Type(other, "up", gate.ElementType);
            Require.Shape(other, "up", "of the shape of gate", gate.Shape);
            up = other.DataPointer;
        }

        rotation.Require(columns);
        Span<long> shape = stackalloc long[OrtTensorView.MaxRank];
        gate.Shape.CopyTo(shape);
        shape = shape[..gate.Shape.Length];
        shape[^1] = columns;
        OrtTensorView codes = context.Output(0, OrtElementType.Float8E4M3FN, shape);
        shape[^1] = 1;
        return new GateQuantizeTokensCall(gate.ElementType, tokens, columns)
        {
            Stride = stride,
            Gate = gate.DataPointer,
            Up = up,
            Codes = codes,
            Scales = context.Output(1, OrtElementType.Float, shape),
            Projections = projection.Make(context, columns, shape),
        };
    }
}
