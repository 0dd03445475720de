namespace Zqfp.CudaOps;

/// <summary>Y of a product for experts has Index's dimensions and N.</summary>
internal static class ExpertShapes
{
    /// <summary>Tells ONNX Runtime type and shape of the output.</summary>
    /// <param name="inference">The node.</param>
    /// <param name="index">Position of Index.</param>
    /// <param name="weights">Position of W [E, N, K].</param>
    /// <param name="type">Type of Y.</param>
    /// <param name="isInputMajor">Whether W is [E, K, N].</param>
    public static void Infer(in OrtShapeInference inference, int index, int weights, OrtElementType type, bool isInputMajor = false)
    {
        if (inference.TryGetInput(index, out _, out IReadOnlyList<OrtDimension> experts)
            && inference.TryGetInput(weights, out _, out IReadOnlyList<OrtDimension> matrices))
        {
            inference.SetOutput(0, type, [.. experts, matrices.Count == 3 ? matrices[isInputMajor ? 2 : 1] : new OrtDimension(null, null)]);
        }
    }

    /// <summary>Rows of X [.., K].</summary>
    /// <exception cref="ZqfpException">ZQFP4006: its rows have another length.</exception>
    public static int Tokens(in OrtTensorView x, int columns)
    {
        ReadOnlySpan<long> shape = x.Shape;
        return shape.Length > 0 && shape[^1] == columns
            ? checked((int)OrtElementTypes.ElementCount(shape[..^1]))
            : throw new ZqfpException("ZQFP4006", $"The last dimension of X must be K = {columns}; X is {Require.Text(shape)}.");
    }

    /// <summary>Sx, one scale for each token.</summary>
    /// <exception cref="ZqfpException">ZQFP4006: it has another number of them.</exception>
    public static OrtTensorView Scales(in OrtTensorView scales, int tokens) => scales.ElementCount == tokens
        ? scales
        : throw new ZqfpException("ZQFP4006",
            $"Sx must hold one scale for each of the {tokens} tokens; it is {Require.Text(scales.Shape)}.");

    /// <summary>Rows of Y: elements of Index, as many as there are rows of X or a multiple.</summary>
    /// <exception cref="ZqfpException">ZQFP4006: the rows do not fit.</exception>
    public static int Count(in OrtTensorView index, int tokens)
    {
        Require.Type(index, "Index", OrtElementType.Int64);
        int count = checked((int)index.ElementCount);
        return count == 0 || (tokens > 0 && count % tokens == 0)
            ? count
            : throw new ZqfpException("ZQFP4006",
                $"Index must have one element for each row of X, or a multiple; it is {Require.Text(index.Shape)}, X has {tokens} rows.");
    }

    /// <summary>Makes Y.</summary>
    public static OrtTensorView Output(in OrtKernelContext context, in OrtTensorView index, int rows)
    {
        ReadOnlySpan<long> shape = index.Shape;
        if (shape.Length == OrtTensorView.MaxRank)
        {
            throw new ZqfpException("ZQFP4006", $"Index has {shape.Length} dimensions; at most {OrtTensorView.MaxRank - 1} are supported.");
        }

        Span<long> output = stackalloc long[OrtTensorView.MaxRank];
        shape.CopyTo(output);
        output[shape.Length] = rows;
        return context.Output(0, output[..(shape.Length + 1)]);
    }
}
