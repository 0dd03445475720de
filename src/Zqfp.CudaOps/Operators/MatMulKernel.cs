namespace Zqfp.CudaOps;

/// <summary>
/// Computes a matrix product, panels of 64 columns of Y independently. The result for a token does not depend on how many others come with
/// it, nor on the number of threads.
/// </summary>
internal abstract unsafe class MatMulKernel(MatMulSignature signature, MatMulLayer layer) : OrtKernel
{
    protected MatMulLayer Layer => layer;

    /// <summary>The kernel for a layer: in integers where both factors are codes that integers hold, else in floating point.</summary>
    public static MatMulKernel Create(MatMulSignature signature, MatMulLayer layer, ScratchPool scratch, InnerLoops loops) =>
        signature.QuantizedActivations && signature.Weights == WeightFormat.E2M1
            ? new CodeMatMulKernel(signature, layer, scratch, loops)
            : new FloatMatMulKernel(signature, layer, scratch, loops.Panels);

    public override void Compute(in OrtKernelContext context)
    {
        PackedWeights weights = layer.Weights;
        int projected = layer.LowRank is { A: null } branch ? branch.Rank : 0;
        MatMulCall call = MatMulCall.Read(signature, context, weights.Rows, weights.Layout.Columns, layer.OutputType, projected);
        Multiply(context, new TokenRows
        {
            X = call.X.DataPointer,
            XType = call.X.ElementType,
            TokenScales = call.TokenScales.IsPresent ? (float*)call.TokenScales.DataPointer : null,
            Projections = call.Projections.IsPresent ? (float*)call.Projections.DataPointer : null,
            Y = call.Y.DataPointer,
            Count = call.Tokens,
        });
    }

    /// <summary>Computes the product for some rows of a call.</summary>
    public abstract void Multiply(in OrtKernelContext context, in TokenRows tokens);

    /// <summary>Makes of a row's totals its elements of Y.</summary>
    /// <param name="tokens">The call's rows.</param>
    /// <param name="projections">A x of each of them, where there is a low-rank branch.</param>
    /// <param name="scale">The row's Sx.</param>
    /// <param name="row">The row.</param>
    /// <param name="column">The first element, of which the others are in the same panel.</param>
    /// <param name="count">How many, a multiple of 16.</param>
    /// <param name="totals">The totals, which may be changed.</param>
    protected void Finish(in TokenRows tokens, float* projections, float scale, int row, int column, int count, float* totals)
    {
        const int Width = PackedWeights.PanelWidth;
        PackedWeights weights = layer.Weights;
        LowRankBranch? branch = layer.LowRank;
        (int panel, int part) = (column / Width, column % Width);
        int valid = Math.Min(count, weights.Rows - column);
        long start = ((long)tokens.Target(row) * weights.Rows) + column;
        bool inPlace = layer.OutputType == OrtElementType.Float && valid == count;
        float* results = inPlace ? (float*)tokens.Y + start : totals;
        Epilogue.Apply(
            totals,
            count,
            weights.RowScales(panel) + part,
            layer.Bias.Floats + column,
            scale,
            branch is null ? null : projections + ((long)row * branch.ProjectionStride),
            branch is null ? null : branch.B(panel) + part,
            branch?.Rank ?? 0,
            results);
        if (inPlace || valid <= 0)
        {
            return;
        }

        if (layer.OutputType == OrtElementType.Float)
        {
            new ReadOnlySpan<float>(totals, valid).CopyTo(new Span<float>((float*)tokens.Y + start, valid));
        }
        else
        {
            HalfConversion.ToHalf(totals, (Half*)tokens.Y + start, valid);
        }
    }

    /// <summary>The same for the totals of rows that follow each other.</summary>
    /// <param name="tokens">The call's rows.</param>
    /// <param name="projections">A x of each of them, where there is a low-rank branch.</param>
    /// <param name="scales">Sx of each of these rows.</param>
    /// <param name="firstRow">The first of them.</param>
    /// <param name="rows">How many there are.</param>
    /// <param name="column">The first element of each, of which the others are in the same panel.</param>
    /// <param name="count">How many, a multiple of 16.</param>
    /// <param name="totals">The totals, which may be changed.</param>
    protected void Finish(
        in TokenRows tokens, float* projections, float* scales, int firstRow, int rows, int column, int count, float* totals)
    {
        PackedWeights weights = layer.Weights;
        if (!StripEpilogue.IsSupported || column + count > weights.Rows)
        {
            for (int row = 0; row < rows; row++)
            {
                Finish(tokens, projections, scales[row], firstRow + row, column, count, totals + (row * count));
            }

            return;
        }

        LowRankBranch? branch = layer.LowRank;
        (int panel, int part) = (column / PackedWeights.PanelWidth, column % PackedWeights.PanelWidth);
        bool isHalf = layer.OutputType == OrtElementType.Float16;
        int elementBytes = isHalf ? sizeof(Half) : sizeof(float);
        long rowBytes = (long)weights.Rows * elementBytes, start = (long)column * elementBytes;
        new StripEpilogue
        {
            Totals = totals,
            Rows = rows,
            Count = count,
            RowScales = weights.RowScales(panel) + part,
            Bias = layer.Bias.Floats + column,
            TokenScales = scales,
            Projections = branch is null ? null : projections + ((long)firstRow * branch.ProjectionStride),
            ProjectionStride = branch?.ProjectionStride ?? 0,
            B = branch is null ? null : branch.B(panel) + part,
            Rank = branch?.Rank ?? 0,
            Y = tokens.Y + (nint)start + (tokens.Targets is null ? (nint)(firstRow * rowBytes) : 0),
            RowBytes = rowBytes,
            Targets = tokens.Targets is null ? null : tokens.Targets + firstRow,
            IsHalf = isHalf,
        }.Apply();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            layer.Dispose();
        }
        base.Dispose(disposing);
    }
}
