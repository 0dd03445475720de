namespace Zqfp.CudaOps;

/// <summary>
/// Multiplies E4M3 tokens with E2M1 weights in integers: tokens are laid out as digits once; then panels are computed independently, one
/// token by reading the packed weights straight through, more by decoding a chunk of a panel into cache and multiplying all rows with it.
/// </summary>
internal sealed unsafe class CodeMatMulKernel(MatMulSignature signature, MatMulLayer layer, ScratchPool scratch, InnerLoops loops)
    : MatMulKernel(signature, layer)
{
    private const int Width = PackedWeights.PanelWidth;

    /// <summary>What the rows of a block take at most: with this they stay in a second-level cache, panel after panel.</summary>
    private const int BlockBytes = 1 << 19;

    /// <summary>
    /// Rows that share decoded columns: at most so many, for their totals to stay in cache, and at least so many, to make decoding cheap.
    /// </summary>
    private const int MostRows = 128, LeastRows = 24;

    // What a core takes about, in nanoseconds: to lay out an element of X, for a step of a projection, for a multiply-add.
    private const double LayOutCost = 0.5, ProjectCost = 0.03, MultiplyCost = 0.02;

    /// <inheritdoc/>
    public override void Multiply(in OrtKernelContext context, in TokenRows tokens)
    {
        PackedWeights weights = Layer.Weights;
        int rows = tokens.Count;
        if (rows == 0 || weights.Rows == 0)
        {
            return;
        }

        int rowBytes = TokenDigits.RowBytes(weights.Layout);
        int projection = Layer.LowRank?.A?.ResultLength ?? 0;
        NativeBuffer buffer = scratch.Rent((long)rows * (rowBytes + (projection * sizeof(float))));
        try
        {
            var job = new Job
            {
                Kernel = this,
                Tokens = tokens,
                LaidOut = buffer.Bytes,
                RowBytes = rowBytes,
                Projections = tokens.Projections is null ? (float*)(buffer.Bytes + ((long)rows * rowBytes)) : tokens.Projections,
            };
            double elements = (double)rows * weights.Layout.PaddedColumns;
            KernelLoop.Run(context, rows, new LayOutRows(job), elements * (LayOutCost + (projection * ProjectCost)));
            var blocks = RowBlocks.Of(weights.Panels, rows, Math.Clamp(BlockBytes / rowBytes, LeastRows, MostRows), step: 1);
            KernelLoop.Run(context, blocks.Count, new MultiplyPanels(job, blocks), elements * weights.Rows * MultiplyCost);
        }
        finally
        {
            scratch.Return(buffer);
        }
    }

    /// <summary>One token becomes digits in the layout of the weights, and its low-rank projection is taken.</summary>
    private void LayOut(in Job job, int row)
    {
        GroupLayout layout = Layer.Weights.Layout;
        byte* codes = (byte*)job.Tokens.X + ((long)job.Tokens.Source(row) * layout.Columns);
        float scale = job.Tokens.TokenScales[job.Tokens.Source(row)];
        byte* token = job.LaidOut + ((long)row * job.RowBytes);
        TokenFactor? factor = Layer.LowRank?.A;
        if (layout.IsDense && factor is null)
        {
            TokenDigits.Write(codes, layout, scale, token);
            return;
        }

        NativeBuffer buffer = scratch.Rent(layout.RowStride * (1L + sizeof(float)));
        try
        {
            byte* laidOut = buffer.Bytes + (layout.RowStride * sizeof(float));
            new Span<byte>(laidOut, layout.RowStride).Clear();
            for (int group = 0; group < layout.Groups; group++)
            {
                int start = group * layout.GroupSize, count = Math.Min(layout.GroupSize, layout.Columns - start);
                new ReadOnlySpan<byte>(codes + start, count).CopyTo(new Span<byte>(laidOut + layout.GroupStart(group), count));
            }

            TokenDigits.Write(laidOut, layout, scale, token);
            if (factor is not null)
            {
                TokenQuantizer.Decode(laidOut, buffer.Floats, layout.RowStride);
                factor.Project(loops.Panels, buffer.Floats, job.Projections + ((long)row * factor.ResultLength));
            }
        }
        finally
        {
            scratch.Return(buffer);
        }
    }

    /// <summary>A panel of Y for a block of rows.</summary>
    private void Multiply(in Job job, int panel, int firstRow, int rows)
    {
        byte* tokens = job.LaidOut + ((long)firstRow * job.RowBytes);
        NativeBuffer buffer = scratch.Rent(Width * ((long)GroupLayout.ChunkLength + (rows * sizeof(float))));
        try
        {
            float* totals = (float*)(buffer.Bytes + (Width * GroupLayout.ChunkLength));
            if (rows == 1)
            {
                loops.Codes.MultiplyRow(tokens, Layer.Weights, panel, totals);
            }
            else
            {
                MultiplyDecoded(tokens, job.RowBytes, panel, rows, buffer.Bytes, totals);
            }

            for (int row = 0; row < rows; row++)
            {
                float scale = ((TokenDigits.Head*)(tokens + ((long)row * job.RowBytes)))->Scale;
                Finish(job.Tokens, job.Projections, scale, firstRow + row, panel * Width, Width, totals + (row * Width));
            }
        }
        finally
        {
            scratch.Return(buffer);
        }
    }

    private void MultiplyDecoded(byte* tokens, int rowBytes, int panel, int rows, byte* decoded, float* totals)
    {
        PackedWeights weights = Layer.Weights;
        new Span<float>(totals, Width * rows).Clear();
        ReadOnlySpan<GroupLayout.Chunk> chunks = weights.Layout.Chunks;
        for (int i = 0; i < chunks.Length; i++)
        {
            GroupLayout.Chunk chunk = chunks[i];
            loops.Codes.Decode(weights.Codes(panel, chunk.Start), chunk.Length, decoded);
            var head = (TokenDigits.ChunkHead*)(tokens + TokenDigits.HeadOffset(i));
            var digits = (sbyte*)(tokens + TokenDigits.DigitsOffset(weights.Layout, chunk.Start));
            var part = new TokenChunk { Head = head, Digits = digits, Stride = rowBytes, Rows = rows, Columns = chunk.Length };
            loops.Codes.Multiply(part, decoded, weights.Scales(panel, chunk.Group), totals);
        }
    }

    /// <summary>One call's rows and working memory.</summary>
    private struct Job
    {
        public CodeMatMulKernel Kernel;
        public TokenRows Tokens;
        public byte* LaidOut;
        public int RowBytes;
        public float* Projections;
    }

    private readonly struct LayOutRows(Job job) : IParallelBody
    {
        public void Run(int index) => job.Kernel.LayOut(job, index);
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
