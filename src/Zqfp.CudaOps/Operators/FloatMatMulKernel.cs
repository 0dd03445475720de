namespace Zqfp.CudaOps;

/// <summary>
/// Multiplies in floating point: the rows of X become floats once; then panels of 64 columns of Y are computed independently, a
/// few rows by reading the packed weights straight through, many by decoding some columns of a panel into cache and multiplying all
/// rows with it.
/// </summary>
internal sealed unsafe class FloatMatMulKernel(MatMulSignature signature, MatMulLayer layer, ScratchPool scratch, PanelMath math)
    : MatMulKernel(signature, layer)
{
    /// <summary>Up to so many rows the weights are decoded anew for each, which costs less than writing them to cache.</summary>
    private const int FewRows = 2;

    /// <summary>
    /// Columns decoded at a time: 16 KiB of floats, which a first-level cache holds while all rows are multiplied with them.
    /// </summary>
    private const int DecodedColumns = 64;

    /// <summary>
    /// What the rows of a block take at most: with this they stay in a second-level cache while panel after panel is multiplied with them.
    /// </summary>
    private const int BlockBytes = 1 << 20;

    /// <summary>Rows the inner loop takes at once.</summary>
    private const int RowStep = 6;

    // What a core takes about, in nanoseconds: to read an element of X, for a step of a projection, for a multiply-add.
    private const double ReadCost = 0.15, ProjectCost = 0.03, MultiplyCost = 0.03;

    /// <inheritdoc/>
    public override void Multiply(in OrtKernelContext context, in TokenRows tokens)
    {
        PackedWeights weights = Layer.Weights;
        int rows = tokens.Count;
        if (rows == 0 || weights.Rows == 0)
        {
            return;
        }

        int projection = Layer.LowRank?.A?.ResultLength ?? 0;
        NativeBuffer buffer = scratch.Rent((long)rows * (weights.Layout.RowStride + projection) * sizeof(float));
        try
        {
            var job = new Job
            {
                Kernel = this,
                Tokens = tokens,
                Floats = buffer.Floats,
                Projections = tokens.Projections is null ? buffer.Floats + ((long)rows * weights.Layout.RowStride) : tokens.Projections,
            };
            double elements = (double)rows * weights.Layout.RowStride;
            KernelLoop.Run(context, rows, new ReadRows(job), elements * (ReadCost + (projection * ProjectCost)));
            var blocks = RowBlocks.Of(weights.Panels, rows, weights.Layout.RowStride * sizeof(float), BlockBytes, RowStep);
            KernelLoop.Run(context, blocks.Count, new MultiplyPanels(job, blocks), elements * weights.Rows * MultiplyCost);
        }
        finally
        {
            scratch.Return(buffer);
        }
    }

    /// <summary>One row of X becomes floats in the layout of the weights, and its low-rank projection is taken.</summary>
    private void ReadRow(in Job job, int row)
    {
        GroupLayout layout = Layer.Weights.Layout;
        float* destination = job.Floats + ((long)row * layout.RowStride);
        long source = (long)job.Tokens.Source(row) * layout.Columns;
        if (layout.IsDense)
        {
            Read(job, source, destination, layout.Columns);
            new Span<float>(destination + layout.Columns, layout.RowStride - layout.Columns).Clear();
        }
        else
        {
            new Span<float>(destination, layout.RowStride).Clear();
            for (int group = 0; group < layout.Groups; group++)
            {
                int start = group * layout.GroupSize;
                Read(job, source + start, destination + layout.GroupStart(group),
                    Math.Min(layout.GroupSize, layout.Columns - start));
            }
        }
        if (Layer.LowRank?.A is { } factor)
        {
            factor.Project(math, destination, job.Projections + ((long)row * factor.ResultLength));
        }
    }

    private static void Read(in Job job, long start, float* destination, int count)
    {
        switch (job.Tokens.XType)
        {
            case OrtElementType.Float8E4M3FN:
                TokenQuantizer.Decode((byte*)job.Tokens.X + start, destination, count);
                break;
            case OrtElementType.Float16:
                HalfConversion.ToSingle((Half*)job.Tokens.X + start, destination, count);
                break;
            default:
                Buffer.MemoryCopy((float*)job.Tokens.X + start, destination, (long)count * sizeof(float), (long)count * sizeof(float));
                break;
        }
    }

    /// <summary>A panel of Y for a block of rows.</summary>
    private void Multiply(in Job job, int panel, int firstRow, int rows)
    {
        PackedWeights weights = Layer.Weights;
        int stride = weights.Layout.RowStride;
        float* x = job.Floats + ((long)firstRow * stride);
        const int Width = PackedWeights.PanelWidth;
        NativeBuffer buffer = scratch.Rent(Width * (DecodedColumns + (2L * rows)) * sizeof(float));
        try
        {
            float* totals = buffer.Floats;
            float* sums = totals + (Width * rows);
            float* decoded = sums + (Width * rows);
            if (rows <= FewRows)
            {
                for (int row = 0; row < rows; row++)
                {
                    MultiplyRow(x + ((long)row * stride), panel, totals + (row * Width));
                }
            }
            else
            {
                new Span<float>(totals, 2 * Width * rows).Clear();
                foreach (ref readonly GroupLayout.Chunk chunk in weights.Layout.Chunks.AsSpan())
                {
                    for (int done = 0; done < chunk.Length; done += DecodedColumns)
                    {
                        int columns = Math.Min(DecodedColumns, chunk.Length - done);
                        bool isLast = done + columns == chunk.Length;
                        Decode(panel, chunk.Start + done, columns, decoded);
                        math.Multiply(x + chunk.Start + done, stride, rows, decoded, columns, sums,
                            isLast ? weights.Scales(panel, chunk.Group) : null, totals);
                    }
                }
            }
            for (int row = 0; row < rows; row++)
            {
                int token = job.Tokens.Source(firstRow + row);
                float scale = job.Tokens.TokenScales is null ? 1 : job.Tokens.TokenScales[token];
                Finish(job.Tokens, job.Projections, scale, panel, firstRow + row, totals + (row * Width));
            }
        }
        finally
        {
            scratch.Return(buffer);
        }
    }

    private void Decode(int panel, int column, int columns, float* decoded)
    {
        if (Layer.Weights.Format == WeightFormat.E2M1)
        {
            math.DecodeE2M1(Layer.Weights.Codes(panel, column), columns, decoded);
        }
        else
        {
            math.DecodeE4M3(Layer.Weights.Codes(panel, column), columns, decoded);
        }
    }

    private void MultiplyRow(float* x, int panel, float* totals)
    {
        if (Layer.Weights.Format == WeightFormat.E2M1)
        {
            math.MultiplyRowE2M1(x, Layer.Weights, panel, totals);
        }
        else
        {
            math.MultiplyRowE4M3(x, Layer.Weights, panel, totals);
        }
    }

    /// <summary>One call's rows and working memory.</summary>
    private struct Job
    {
        public FloatMatMulKernel Kernel;
        public TokenRows Tokens;
        public float* Floats;
        public float* Projections;
    }

    private readonly struct ReadRows(Job job) : IParallelBody
    {
        public void Run(int index) => job.Kernel.ReadRow(job, index);
    }

    private readonly struct MultiplyPanels(Job job, RowBlocks blocks) : IParallelBody
    {
        public void Run(int index)
        {
            (int panel, int firstRow, int rows) = blocks.At(index);
            job.Kernel.Multiply(job, panel, firstRow, rows);
        }
    }
}
