namespace Zqfp.CudaOps;

/// <summary>The tensors of one call of <c>NormQuantizeTokens</c>, checked against the operator's rules.</summary>
internal readonly ref struct NormQuantizeTokensCall
{
    private NormQuantizeTokensCall(QuantizeTokensCall tokens) => Tokens = tokens;

    /// <summary>X, Xq and Sx.</summary>
    public QuantizeTokensCall Tokens { get; }

    /// <summary>[K].</summary>
    public OrtTensorView Gain { get; private init; }

    /// <summary>[.., K], or absent.</summary>
    public OrtTensorView Skip { get; private init; }

    /// <summary>[K], or absent.</summary>
    public OrtTensorView Shift { get; private init; }

    /// <summary>[.., K] to be written, or absent.</summary>
    public OrtTensorView Sum { get; private init; }

    /// <summary>Reads the inputs of a call and makes its outputs.</summary>
    /// <param name="context">The call.</param>
    /// <param name="node">The node.</param>
    /// <exception cref="ZqfpException">The inputs break a rule of the operator.</exception>
    public static NormQuantizeTokensCall Read(in OrtKernelContext context, NormNode node)
    {
        QuantizeTokensCall tokens = QuantizeTokensCall.Read(context, node.Rotation, node.Projection);
        OrtTensorView skip = default;
        if (node.HasSkip)
        {
            skip = context.Input(NormQuantizeTokensSignature.SkipInput);
            Require.Type(skip, "skip", tokens.X.ElementType);
            Require.Shape(skip, "skip", "of the shape of X", tokens.X.Shape);
        }

        return new NormQuantizeTokensCall(tokens)
        {
            Gain = Row(context.Input(1), "gain", tokens),
            Skip = skip,
            Shift = node.HasShift ? Row(context.Input(NormQuantizeTokensSignature.ShiftInput), "shift", tokens) : default,
            Sum = node.HasSum
                ? context.Output(NormQuantizeTokensSignature.SumOutput, tokens.X.ElementType, tokens.X.Shape)
                : default,
        };
    }

    private static OrtTensorView Row(OrtTensorView view, string name, scoped in QuantizeTokensCall tokens)
    {
        Require.Type(view, name, tokens.X.ElementType);
        Require.Shape(view, name, "[K]", tokens.Columns);
        return view;
    }
}
