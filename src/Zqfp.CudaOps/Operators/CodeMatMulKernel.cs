namespace Zqfp.CudaOps;

/// <summary>
/// Multiplies E4M3 tokens with E2M1 weights in integers. For up to <see cref="CodeMath.FewRows"/> tokens the packed weights are read
/// straight through, for two at a time where that helps. More are multiplied in tiles by <see cref="PairMath"/> or, where that is slower,
/// by decoding a chunk of a panel into cache for <see cref="DigitMath"/>.
/// </summary>
internal sealed unsafe class CodeMatMulKernel(MatMulSignature signature, MatMulLayer layer, ScratchPool scratch, InnerLoops loops)
    : TiledMatMulKernel(signature, layer, scratch, loops.Pairs?.StripWidth ?? Width, loops.Pairs?.RowUnit ?? 2, elementColumns: 2)
{
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

        double layOutCost = LayOutCost + (ProjectionLength * ProjectCost);
        if (rows > loops.Codes.FewRows && loops.Pairs is not null)
        {
            MultiplyTiles(context, tokens, layOutCost, MultiplyCost);
            return;
        }

        int rowBytes = loops.Codes.RowBytes(weights.Layout);
        int projection = ProjectionLength;
        NativeBuffer buffer = Scratch.Rent((long)rows * (rowBytes + (projection * sizeof(float))));
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
            KernelLoop.Run(context, rows, new LayOutRows(job), elements * layOutCost);
            var blocks = RowBlocks.Of(weights.Panels, rows, Math.Clamp(BlockBytes / rowBytes, LeastRows, MostRows), step: 1);
            KernelLoop.Run(context, blocks.Count, new MultiplyPanels(job, blocks), elements * weights.Rows * MultiplyCost);
        }
        finally
        {
            Scratch.Return(buffer);
        }
    }

    /// <inheritdoc/>
    protected override int SideBytes => TokenPairs.RowBytes(Layer.Weights.Layout);

    /// <inheritdoc/>
    protected override int ScratchIntegers => loops.Pairs is null ? 0 : loops.Pairs.StripWidth + (sizeof(RestRow) / sizeof(int)) + 1;

    /// <inheritdoc/>
    protected override void ReadRow(in TokenRows tokens, int row, float* elements, byte* side, float* projection) =>
        LayOut(tokens, row, (int*)elements, side, projection);

    /// <inheritdoc/>
    protected override void BeginChunk(int chunk, in RowTiles tiles, int rows, byte* sides, float* decoded)
    {
        GroupLayout layout = Layer.Weights.Layout;
        int head = TokenPairs.HeadOffset(chunk), rests = TokenPairs.RestsOffset(layout, layout.Chunks[chunk].Start), side = SideBytes;
        new Span<int>(Starts(decoded), loops.Pairs!.StripWidth * tiles.Rows).Clear();
        RestRow* list = RestRows(decoded, tiles);
        int* places = Places(decoded, tiles);
        new Span<int>(places, tiles.Rows).Clear();
        for (int row = 0; row < rows; row++, sides += side)
        {
            var of = (TokenPairs.ChunkHead*)(sides + head);
            places[row] = of->Place;
            if (of->Rests > 0)
            {
                *list++ = new RestRow { First = (TokenPairs.Rest*)(sides + rests), Count = of->Rests, Row = row };
            }
        }

        if (list < RestRows(decoded, tiles) + tiles.Rows)
        {
            list->Count = 0;
        }
    }

    /// <inheritdoc/>
    protected override void Multiply(in Strip strip, float* x, in RowTiles tiles, int rows, float* decoded, float* totals)
    {
        PairMath math = loops.Pairs!;
        PackedWeights weights = Layer.Weights;
        GroupLayout.Chunk chunk = weights.Layout.Chunks[strip.Chunk];
        int* integers = (int*)decoded, starts = Starts(decoded);
        math.Decode(weights.Codes(strip.Panel, chunk.Start) + strip.Part, chunk.Length, integers);
        RestRow* row = RestRows(decoded, tiles);
        for (RestRow* end = row + tiles.Rows; row < end && row->Count > 0; row++)
        {
            math.Start(row->First, row->Count, integers, starts + (row->Row * math.StripWidth));
        }

        float* scales = weights.Scales(strip.Panel, chunk.Group) + strip.Part;
        math.Multiply(x, tiles, integers, chunk.Length / 2, Places(decoded, tiles), starts, scales, totals);
    }

    /// <inheritdoc/>
    protected override float Scale(in TokenRows tokens, int row, byte* side) => ((TokenPairs.Head*)side)->Scale;

    /// <summary>What sums begin with, a strip's width for each row of a block: zero where a row has no rests in the chunk.</summary>
    private int* Starts(float* decoded) => (int*)decoded + (loops.Pairs!.StripWidth * GroupLayout.ChunkLength);

    /// <summary>The rows that have rests in the chunk, as many as have a count, and at most all.</summary>
    private RestRow* RestRows(float* decoded, in RowTiles tiles) =>
        (RestRow*)(Starts(decoded) + (loops.Pairs!.StripWidth * tiles.Rows));

    /// <summary>Bits below the place of the integers that each row of a block has in the chunk.</summary>
    private int* Places(float* decoded, in RowTiles tiles) => (int*)(RestRows(decoded, tiles) + tiles.Rows);

    /// <summary>One token becomes integers in the layout of the weights, and its low-rank projection is taken.</summary>
    /// <param name="tokens">The call's rows.</param>
    /// <param name="row">Which.</param>
    /// <param name="pairs">Receives its pairs; null where it is laid out for a product of few tokens.</param>
    /// <param name="token">Receives what it has beside pairs, or all of it.</param>
    /// <param name="projection">Receives its projection.</param>
    private void LayOut(in TokenRows tokens, int row, int* pairs, byte* token, float* projection)
    {
        GroupLayout layout = Layer.Weights.Layout;
        byte* codes = (byte*)tokens.X + ((long)tokens.Source(row) * layout.Columns);
        float scale = tokens.TokenScales[tokens.Source(row)];
        TokenFactor? factor = Layer.LowRank?.A;
        if (layout.IsDense && factor is null)
        {
            Write(codes, scale, pairs, token);
            return;
        }

        NativeBuffer buffer = Scratch.Rent(layout.RowStride * (1L + sizeof(float)));
        try
        {
            byte* laidOut = buffer.Bytes + (layout.RowStride * sizeof(float));
            new Span<byte>(laidOut, layout.RowStride).Clear();
            for (int group = 0; group < layout.Groups; group++)
            {
                int start = group * layout.GroupSize, count = Math.Min(layout.GroupSize, layout.Columns - start);
                new ReadOnlySpan<byte>(codes + start, count).CopyTo(new Span<byte>(laidOut + layout.GroupStart(group), count));
            }

            Write(laidOut, scale, pairs, token);
            if (factor is not null)
            {
                TokenQuantizer.Decode(laidOut, buffer.Floats, layout.RowStride);
                factor.Project(loops.Panels, buffer.Floats, projection);
            }
        }
        finally
        {
            Scratch.Return(buffer);
        }
    }

    private void Write(byte* codes, float scale, int* pairs, byte* token)
    {
        if (pairs is null)
        {
            loops.Codes.Write(codes, Layer.Weights.Layout, scale, token);
        }
        else
        {
            TokenPairs.Write(codes, Layer.Weights.Layout, scale, pairs, token);
        }
    }

    /// <summary>A panel of Y for a block of rows.</summary>
    private void Multiply(in Job job, int panel, int firstRow, int rows)
    {
        byte* tokens = job.LaidOut + ((long)firstRow * job.RowBytes);
        NativeBuffer buffer = Scratch.Rent(Width * ((long)GroupLayout.ChunkLength + (rows * sizeof(float))));
        try
        {
            float* totals = (float*)(buffer.Bytes + (Width * GroupLayout.ChunkLength));
            if (rows > 1 && loops.Codes is DigitMath math)
            {
                MultiplyDecoded(math, tokens, job.RowBytes, panel, rows, buffer.Bytes, totals);
            }
            else
            {
                int row = 0;
                for (; row < rows - 1; row += 2)
                {
                    byte* first = tokens + ((long)row * job.RowBytes);
                    loops.Codes.MultiplyTwo(first, first + job.RowBytes, Layer.Weights, panel, totals + (row * Width));
                }

                if (row < rows)
                {
                    loops.Codes.MultiplyRow(tokens + ((long)row * job.RowBytes), Layer.Weights, panel, totals + (row * Width));
                }
            }

            for (int row = 0; row < rows; row++)
            {
                float scale = CodeMath.Scale(tokens + ((long)row * job.RowBytes));
                Finish(job.Tokens, job.Projections, scale, firstRow + row, panel * Width, Width, totals + (row * Width));
            }
        }
        finally
        {
            Scratch.Return(buffer);
        }
    }

    private void MultiplyDecoded(DigitMath math, byte* tokens, int rowBytes, int panel, int rows, byte* decoded, float* totals)
    {
        PackedWeights weights = Layer.Weights;
        new Span<float>(totals, Width * rows).Clear();
        ReadOnlySpan<GroupLayout.Chunk> chunks = weights.Layout.Chunks;
        for (int i = 0; i < chunks.Length; i++)
        {
            GroupLayout.Chunk chunk = chunks[i];
            math.Decode(weights.Codes(panel, chunk.Start), chunk.Length, decoded);
            var head = (TokenDigits.ChunkHead*)(tokens + TokenDigits.HeadOffset(i));
            var digits = (sbyte*)(tokens + TokenDigits.DigitsOffset(weights.Layout, chunk.Start));
            var part = new TokenChunk { Head = head, Digits = digits, Stride = rowBytes, Rows = rows, Columns = chunk.Length };
            math.Multiply(part, decoded, weights.Scales(panel, chunk.Group), totals);
        }
    }

    /// <summary>A row's rests in a chunk.</summary>
    private struct RestRow
    {
        public TokenPairs.Rest* First;
        public int Count;
        public int Row;
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
        public void Run(int index)
        {
            float* projection = job.Projections + ((long)index * job.Kernel.ProjectionLength);
            job.Kernel.LayOut(job.Tokens, index, null, job.LaidOut + ((long)index * job.RowBytes), projection);
        }
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
