namespace Zqfp.CudaOps;

/// <summary>
/// Multiplies in floating point: a few rows become floats, and the packed weights are read straight through for each; many are multiplied
/// in tiles.
/// </summary>
internal sealed unsafe class FloatMatMulKernel(MatMulSignature signature, MatMulLayer layer, ScratchPool scratch, PanelMath math)
    : TiledMatMulKernel(signature, layer, scratch, math.StripWidth, math.RowUnit, elementColumns: 1)
{
    /// <summary>Up to so many rows the weights are decoded anew for each, which costs less than writing them to cache.</summary>
    private const int FewRows = 2;

    // What a core takes about, in nanoseconds: to read an element of X, for a step of a projection, for a multiply-add.
    private const double ReadCost = 0.15, ProjectCost = 0.03, MultiplyCost = 0.03;

    /// <inheritdoc/>
    protected override int SideBytes => 0;

    /// <inheritdoc/>
    protected override int ScratchIntegers => 0;

    /// <inheritdoc/>
    public override void Multiply(in OrtKernelContext context, in TokenRows tokens)
    {
        PackedWeights weights = Layer.Weights;
        int rows = tokens.Count, stride = weights.Layout.RowStride;
        if (rows == 0 || weights.Rows == 0)
        {
            return;
        }

        double readCost = ReadCost + (ProjectionLength * ProjectCost);
        if (rows > FewRows)
        {
            MultiplyTiles(context, tokens, readCost, MultiplyCost);
            return;
        }

        NativeBuffer buffer = Scratch.Rent((long)rows * (stride + ProjectionLength) * sizeof(float));
        try
        {
            float* projections = tokens.Projections is null ? buffer.Floats + ((long)rows * stride) : tokens.Projections;
            var job = new Job { Kernel = this, Tokens = tokens, Floats = buffer.Floats, Projections = projections };
            double elements = (double)rows * stride;
            KernelLoop.Run(context, rows, new ReadRows(job), elements * readCost);
            KernelLoop.Run(context, weights.Panels, new MultiplyRows(job), elements * weights.Rows * MultiplyCost);
        }
        finally
        {
            Scratch.Return(buffer);
        }
    }

    /// <inheritdoc/>
    protected override void ReadRow(in TokenRows tokens, int row, float* elements, byte* side, float* projection)
    {
        GroupLayout layout = Layer.Weights.Layout;
        long source = (long)tokens.Source(row) * layout.Columns;
        if (layout.IsDense)
        {
            Read(tokens, source, elements, layout.Columns);
            new Span<float>(elements + layout.Columns, layout.RowStride - layout.Columns).Clear();
        }
        else
        {
            new Span<float>(elements, layout.RowStride).Clear();
            for (int group = 0; group < layout.Groups; group++)
            {
                int start = group * layout.GroupSize;
                Read(tokens, source + start, elements + layout.GroupStart(group), Math.Min(layout.GroupSize, layout.Columns - start));
            }
        }

        Layer.LowRank?.A?.Project(math, elements, projection);
    }

    /// <inheritdoc/>
    protected override void Multiply(in Strip strip, float* x, in RowTiles tiles, int rows, float* decoded, float* totals)
    {
        PackedWeights weights = Layer.Weights;
        GroupLayout.Chunk chunk = weights.Layout.Chunks[strip.Chunk];
        uint* words = weights.Codes(strip.Panel, chunk.Start) + strip.Part;
        if (weights.Format == WeightFormat.E2M1)
        {
            math.DecodeE2M1(words, chunk.Length, decoded);
        }
        else
        {
            math.DecodeE4M3(words, chunk.Length, decoded);
        }

        math.Multiply(x, tiles, decoded, chunk.Length, weights.Scales(strip.Panel, chunk.Group) + strip.Part, totals);
    }

    /// <inheritdoc/>
    protected override float Scale(in TokenRows tokens, int row, byte* side) =>
        tokens.TokenScales is null ? 1 : tokens.TokenScales[tokens.Source(row)];

    private static void Read(in TokenRows tokens, long start, float* destination, int count)
    {
        switch (tokens.XType)
        {
            case OrtElementType.Float8E4M3FN:
                TokenQuantizer.Decode((byte*)tokens.X + start, destination, count);
                break;
            case OrtElementType.Float16:
                HalfConversion.ToSingle((Half*)tokens.X + start, destination, count);
                break;
            default:
                Buffer.MemoryCopy((float*)tokens.X + start, destination, (long)count * sizeof(float), (long)count * sizeof(float));
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
            float* x = job.Floats + ((long)row * weights.Layout.RowStride);
            if (weights.Format == WeightFormat.E2M1)
            {
                math.MultiplyRowE2M1(x, weights, panel, totals);
            }
            else
            {
                math.MultiplyRowE4M3(x, weights, panel, totals);
            }

            Finish(job.Tokens, job.Projections, Scale(job.Tokens, row, null), row, panel * Width, Width, totals);
        }
    }

    /// <summary>One call's few rows and working memory.</summary>
    private struct Job
    {
        public FloatMatMulKernel Kernel;
        public TokenRows Tokens;
        public float* Floats;
        public float* Projections;
    }

    private readonly struct ReadRows(Job job) : IParallelBody
    {
        public void Run(int index)
        {
            float* floats = job.Floats + ((long)index * job.Kernel.Layer.Weights.Layout.RowStride);
            job.Kernel.ReadRow(job.Tokens, index, floats, null, job.Projections + ((long)index * job.Kernel.ProjectionLength));
        }
    }

    private readonly struct MultiplyRows(Job job) : IParallelBody
    {
        public void Run(int index) => job.Kernel.MultiplyFew(job, index);
    }
}
