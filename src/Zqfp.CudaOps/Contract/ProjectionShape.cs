namespace Zqfp.CudaOps;

/// <summary>The low-rank factor A [R, K] that a quantizing node takes its tokens' codes times with, or none.</summary>
/// <param name="Rank">R, a multiple of 8; 0 for none.</param>
/// <param name="Columns">K.</param>
/// <param name="Output">Position of Z.</param>
internal readonly record struct ProjectionShape(int Rank, int Columns, int Output)
{
    /// <summary>A as a parameter.</summary>
    public static OrtParameter Factor { get; } = new("A", OrtElementType.Undefined, Optional: true);

    /// <summary>Z as a parameter.</summary>
    public static OrtParameter Result { get; } = new("Z", OrtElementType.Float, Optional: true);

    /// <summary>Whether nothing is projected.</summary>
    public bool IsNone => Rank == 0;

    /// <summary>Reads what a node says.</summary>
    /// <param name="info">The node.</param>
    /// <param name="input">Position of A.</param>
    /// <param name="output">Position of Z.</param>
    /// <param name="factor">A; absent where there is none.</param>
    /// <exception cref="ZqfpException">ZQFP4006: the node breaks a rule of the operator.</exception>
    public static ProjectionShape Read(in OrtKernelInfo info, int input, int output, out OrtTensorView factor)
    {
        factor = Require.OptionalConstant(info, input, "A");
        if (factor.IsPresent != info.HasOutput(output))
        {
            throw new ZqfpException("ZQFP4006", "The input A and the output Z are given together or not at all.");
        }

        if (!factor.IsPresent)
        {
            return default;
        }

        ReadOnlySpan<long> shape = factor.Shape;
        return shape.Length == 2 && shape[0] > 0 && shape[0] % OperatorNames.RankStep == 0
            ? new ProjectionShape(checked((int)shape[0]), checked((int)shape[1]), output)
            : throw new ZqfpException(
                "ZQFP4006", $"A must be [R, K] with R a multiple of {OperatorNames.RankStep}; it is {Require.Text(shape)}.");
    }

    /// <summary>Checks that tokens fit and makes Z; absent where nothing is projected.</summary>
    /// <param name="context">The call.</param>
    /// <param name="columns">K of the tokens.</param>
    /// <param name="shape">Dimensions of the codes.</param>
    /// <exception cref="ZqfpException">ZQFP4006: A has other columns.</exception>
    public OrtTensorView Make(in OrtKernelContext context, int columns, scoped ReadOnlySpan<long> shape)
    {
        if (IsNone)
        {
            return default;
        }

        if (columns != Columns)
        {
            throw new ZqfpException("ZQFP4006", $"A has {Columns} columns; the tokens have {columns}.");
        }

        Span<long> dims = stackalloc long[OrtTensorView.MaxRank];
        shape.CopyTo(dims);
        dims[shape.Length - 1] = Rank;
        return context.Output(Output, OrtElementType.Float, dims[..shape.Length]);
    }

    /// <summary>Tells ONNX Runtime the type and shape of Z.</summary>
    /// <param name="inference">The node.</param>
    /// <param name="input">Position of A.</param>
    /// <param name="output">Position of Z.</param>
    /// <param name="leading">Dimensions of the codes but the last.</param>
    public static void Infer(in OrtShapeInference inference, int input, int output, IEnumerable<OrtDimension> leading)
    {
        if (inference.TryGetInput(input, out _, out IReadOnlyList<OrtDimension> factor) && factor.Count == 2)
        {
            inference.SetOutput(output, OrtElementType.Float, [.. leading, factor[0]]);
        }
    }
}
