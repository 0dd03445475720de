namespace Zqfp.CudaOps;

/// <summary>
/// Multiplies in floating point: the rows of X become floats once; then panels of 64 columns of Y are computed independently, a
/// few rows by reading the packed weights straight through, many by decoding columns of a panel into cache and multiplying all rows with
/// them.
/// </summary>
internal sealed unsafe class FloatMatMulKernel(MatMulSignature signature, MatMulLayer layer, ScratchPool scratch, PanelMath math)
    : MatMulKernel(signature, layer)
{
    private const int Width = PackedWeights.PanelWidth;

    /// <summary>Up to so many rows the weights are decoded anew for each, which costs less than writing them to cache.</summary>
    private const int FewRows = 2;

    /// <summary>
    /// Columns decoded at a time: a chunk's for at least so many rows, else so few that a first-level cache holds their 32 KiB of floats.
    /// </summary>
    private const int ManyRows = 96, FewColumns = 128;

    /// <summary>Rows of a block at most: a chunk of them takes 256 KiB, which a second-level cache holds.</summary>
    private const int MostRows = 256;

    /// <summary>Panels that take turns with a chunk while its rows are in that cache, and parts that there should be at least.</summary>
    private const int MostPanels = 4, LeastGroups = 8;

    /// <summary>Rows the inner loop takes at once.</summary>
    private const int RowStep = 12;

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
                Few = rows <= FewRows,
                Projections = tokens.Projections is null ? buffer.Floats + ((long)rows * weights.Layout.RowStride) : tokens.Projections,
            };
            double elements = (double)rows * weights.Layout.RowStride;
            KernelLoop.Run(context, rows, new ReadRows(job), elements * (ReadCost + (projection * ProjectCost)));
            double cost = elements * weights.Rows * MultiplyCost;
            if (job.Few)
            {
                KernelLoop.Run(context, weights.Panels, new MultiplyRows(job), cost);
                return;
            }

            int panels = Math.Clamp(weights.Panels / LeastGroups, 1, MostPanels);
            var blocks = RowBlocks.Of((weights.Panels + panels - 1) / panels, rows, MostRows, RowStep);
            KernelLoop.Run(context, blocks.Count, new MultiplyPanels(job, panels, blocks), cost);
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
        TokenFactor? factor = Layer.LowRank?.A;
        if (job.Few)
        {
            float* floats = job.Floats + ((long)row * layout.RowStride);
            ReadRow(job, row, floats);
            factor?.Project(math, floats, job.Projections + ((long)row * factor.ResultLength));
            return;
        }

        NativeBuffer buffer = scratch.Rent((long)layout.RowStride * sizeof(float));
        try
        {
            ReadRow(job, row, buffer.Floats);
            factor?.Project(math, buffer.Floats, job.Projections + ((long)row * factor.ResultLength));
            foreach (ref readonly GroupLayout.Chunk chunk in layout.Chunks.AsSpan())
            {
                float* place = Columns(job, chunk.Start) + ((long)row * chunk.Length);
                new ReadOnlySpan<float>(buffer.Floats + chunk.Start, chunk.Length).CopyTo(new Span<float>(place, chunk.Length));
            }
        }
        finally
        {
            scratch.Return(buffer);
        }
    }

    /// <summary>Where the rows of a chunk begin, one behind the other, where they are many.</summary>
    private static float* Columns(in Job job, int start) => job.Floats + ((long)start * job.Tokens.Count);

    private void ReadRow(in Job job, int row, float* destination)
    {
        GroupLayout layout = Layer.Weights.Layout;
        long source = (long)job.Tokens.Source(row) * layout.Columns;
        if (layout.IsDense)
        {
            Read(job, source, destination, layout.Columns);
            new Span<float>(destination + layout.Columns, layout.RowStride - layout.Columns).Clear();
            return;
        }

        new Span<float>(destination, layout.RowStride).Clear();
        for (int group = 0; group < layout.Groups; group++)
        {
            int start = group * layout.GroupSize;
            Read(job, source + start, destination + layout.GroupStart(group), Math.Min(layout.GroupSize, layout.Columns - start));
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

    /// <summary>A panel of Y for a few rows.</summary>
    private void MultiplyFew(in Job job, int panel)
    {
        PackedWeights weights = Layer.Weights;
        float* totals = stackalloc float[Width];
        for (int row = 0; row < job.Tokens.Count; row++)
        {
            MultiplyRow(job.Floats + ((long)row * weights.Layout.RowStride), panel, totals);
            Finish(job, panel, row, totals);
        }
    }

    /// <summary>Some panels of Y for a block of rows.</summary>
    private void Multiply(in Job job, int firstPanel, int panels, int firstRow, int rows)
    {
        PackedWeights weights = Layer.Weights;
        NativeBuffer buffer = scratch.Rent(Width * (GroupLayout.ChunkLength + ((1L + panels) * rows)) * sizeof(float));
        try
        {
            float* decoded = buffer.Floats, sums = decoded + (Width * GroupLayout.ChunkLength), totals = sums + (Width * rows);
            int most = rows < ManyRows ? FewColumns : GroupLayout.ChunkLength;
            new Span<float>(sums, (1 + panels) * Width * rows).Clear();
            foreach (ref readonly GroupLayout.Chunk chunk in weights.Layout.Chunks.AsSpan())
            {
                float* x = Columns(job, chunk.Start) + ((long)firstRow * chunk.Length);
                for (int i = 0; i < panels; i++)
                {
                    float* scales = weights.Scales(firstPanel + i, chunk.Group);
                    for (int column = 0; column < chunk.Length; column += most)
                    {
                        int columns = Math.Min(most, chunk.Length - column);
                        Decode(firstPanel + i, chunk.Start + column, columns, decoded);
                        math.Multiply(x + column, chunk.Length, rows, decoded, columns, sums,
                            column + columns == chunk.Length ? scales : null, totals + (i * Width * rows));
                    }
                }
            }
            for (int i = 0; i < panels; i++)
            {
                for (int row = 0; row < rows; row++)
                {
                    Finish(job, firstPanel + i, firstRow + row, totals + (((i * rows) + row) * Width));
                }
            }
        }
        finally
        {
            scratch.Return(buffer);
        }
    }

    private void Finish(in Job job, int panel, int row, float* totals)
    {
        float scale = job.Tokens.TokenScales is null ? 1 : job.Tokens.TokenScales[job.Tokens.Source(row)];
        Finish(job.Tokens, job.Projections, scale, panel, row, totals);
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
        public bool Few;
        public float* Projections;
    }

    private readonly struct ReadRows(Job job) : IParallelBody
    {
        public void Run(int index) => job.Kernel.ReadRow(job, index);
    }

    private readonly struct MultiplyRows(Job job) : IParallelBody
    {
        public void Run(int index) => job.Kernel.MultiplyFew(job, index);
    }

    private readonly struct MultiplyPanels(Job job, int panels, RowBlocks blocks) : IParallelBody
    {
        public void Run(int index)
        {
            (int group, int firstRow, int rows) = blocks.At(index);
            int first = group * panels;
            job.Kernel.Multiply(job, first, Math.Min(panels, job.Kernel.Layer.Weights.Panels - first), firstRow, rows);
        }
    }
}
