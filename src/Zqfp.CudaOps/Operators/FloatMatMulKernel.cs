namespace Zqfp.CudaOps;

/// <summary>
/// Multiplies in floating point: the rows of X become floats once; then panels of 64 columns of Y are computed independently, a
/// few rows by reading the packed weights straight through, many by decoding a strip of a panel into cache and multiplying all rows with
/// it.
/// </summary>
internal sealed unsafe class FloatMatMulKernel(MatMulSignature signature, MatMulLayer layer, ScratchPool scratch, PanelMath math)
    : MatMulKernel(signature, layer)
{
    private const int Width = PackedWeights.PanelWidth;

    /// <summary>Up to so many rows the weights are decoded anew for each, which costs less than writing them to cache.</summary>
    private const int FewRows = 2;

    /// <summary>Rows of a block at most: a chunk of them takes 256 KiB, which a second-level cache holds.</summary>
    private const int MostRows = 256;

    /// <summary>
    /// Panels that take turns with a chunk while its rows are in that cache; and of how many panels the last are taken one by one, so that
    /// threads end together.
    /// </summary>
    private const int MostPanels = 4, LastPanels = 8;

    /// <summary>Rows that are read at once: a tile's, or two of them.</summary>
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

        var blocks = RowBlocks.Of(PanelGroups(weights.Panels), rows, MostRows, RowStep);
        bool few = rows <= FewRows;
        int padded = few ? rows : rows - blocks.LastRows + new RowTiles(blocks.LastRows, math.RowUnit).Rows;
        int projection = Layer.LowRank?.A?.ResultLength ?? 0;
        NativeBuffer buffer = scratch.Rent((((long)padded * weights.Layout.RowStride) + ((long)rows * projection)) * sizeof(float));
        try
        {
            var job = new Job
            {
                Kernel = this,
                Tokens = tokens,
                Floats = buffer.Floats,
                PaddedRows = padded,
                Blocks = blocks,
                Projections = tokens.Projections is null ? buffer.Floats + ((long)padded * weights.Layout.RowStride) : tokens.Projections,
            };
            double elements = (double)rows * weights.Layout.RowStride;
            double readCost = elements * (ReadCost + (projection * ProjectCost)), cost = elements * weights.Rows * MultiplyCost;
            if (few)
            {
                KernelLoop.Run(context, rows, new ReadRows(job), readCost);
                KernelLoop.Run(context, weights.Panels, new MultiplyRows(job), cost);
                return;
            }

            KernelLoop.Run(context, (padded + RowStep - 1) / RowStep, new ReadTiles(job), readCost);
            KernelLoop.Run(context, blocks.Count, new MultiplyPanels(job), cost);
        }
        finally
        {
            scratch.Return(buffer);
        }
    }

    /// <summary>Groups of panels: as many as there are of <see cref="MostPanels"/>, then single ones.</summary>
    private static int PanelGroups(int panels) => panels - SharedPanels(panels) + (SharedPanels(panels) / MostPanels);

    /// <summary>Panels that are in groups of <see cref="MostPanels"/>.</summary>
    private static int SharedPanels(int panels) => Math.Max(panels - LastPanels, 0) / MostPanels * MostPanels;

    /// <summary>A row of X becomes floats in the layout of the weights, and its low-rank projection is taken.</summary>
    private void ReadAndProject(in Job job, int row, float* floats)
    {
        ReadRow(job, row, floats);
        TokenFactor? factor = Layer.LowRank?.A;
        factor?.Project(math, floats, job.Projections + ((long)row * factor.ResultLength));
    }

    /// <summary>Rows of X become floats in tiles, chunk after chunk.</summary>
    private void ReadTile(in Job job, int firstRow)
    {
        GroupLayout layout = Layer.Weights.Layout;
        NativeBuffer buffer = scratch.Rent((long)RowStep * layout.RowStride * sizeof(float));
        try
        {
            int rows = Math.Min(RowStep, job.PaddedRows - firstRow);
            for (int i = 0; i < rows; i++)
            {
                float* floats = buffer.Floats + ((long)i * layout.RowStride);
                if (firstRow + i < job.Tokens.Count)
                {
                    ReadAndProject(job, firstRow + i, floats);
                }
                else
                {
                    new Span<float>(floats, layout.RowStride).Clear();
                }
            }

            int block = firstRow / job.Blocks.RowsPerBlock * job.Blocks.RowsPerBlock;
            var tiles = new RowTiles(Math.Min(job.Blocks.RowsPerBlock, job.Tokens.Count - block), math.RowUnit);
            foreach (ref readonly GroupLayout.Chunk chunk in layout.Chunks.AsSpan())
            {
                for (int i = 0; i < rows; i += 2)
                {
                    float* even = buffer.Floats + ((long)i * layout.RowStride) + chunk.Start;
                    int row = firstRow + i - block;
                    (int first, int tileRows) = tiles.Of(row);
                    float* tile = Columns(job, chunk.Start) + ((long)(block + first) * chunk.Length);
                    RowTiles.Write(even, even + layout.RowStride, chunk.Length, tile + row - first, tileRows);
                }
            }
        }
        finally
        {
            scratch.Return(buffer);
        }
    }

    /// <summary>Where the tiles of a chunk begin, one behind the other, where rows are many.</summary>
    private static float* Columns(in Job job, int start) => job.Floats + ((long)start * job.PaddedRows);

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
            Finish(job, row, panel * Width, Width, totals);
        }
    }

    /// <summary>Some panels of Y for a block of rows.</summary>
    private void Multiply(in Job job, int firstPanel, int panels, int firstRow, int rows)
    {
        PackedWeights weights = Layer.Weights;
        int width = math.StripWidth;
        var tiles = new RowTiles(rows, math.RowUnit);
        NativeBuffer buffer = scratch.Rent(((width * (long)GroupLayout.ChunkLength) + ((long)panels * Width * tiles.Rows)) * sizeof(float));
        try
        {
            float* decoded = buffer.Floats, totals = decoded + (width * GroupLayout.ChunkLength);
            new Span<float>(totals, panels * Width * tiles.Rows).Clear();
            foreach (ref readonly GroupLayout.Chunk chunk in weights.Layout.Chunks.AsSpan())
            {
                float* x = Columns(job, chunk.Start) + ((long)firstRow * chunk.Length);
                for (int strip = 0; strip < panels * Width; strip += width)
                {
                    int panel = firstPanel + (strip / Width), part = strip % Width;
                    Decode(weights.Codes(panel, chunk.Start) + part, chunk.Length, decoded);
                    float* scales = weights.Scales(panel, chunk.Group) + part;
                    math.Multiply(x, tiles, decoded, chunk.Length, scales, totals + ((long)strip * tiles.Rows));
                }
            }

            for (int row = 0; row < rows; row++)
            {
                for (int strip = 0; strip < panels * Width; strip += width)
                {
                    float* source = totals + ((long)strip * tiles.Rows) + (row * width);
                    Finish(job, firstRow + row, (firstPanel * Width) + strip, width, source);
                }
            }
        }
        finally
        {
            scratch.Return(buffer);
        }
    }

    private void Finish(in Job job, int row, int column, int count, float* totals)
    {
        float scale = job.Tokens.TokenScales is null ? 1 : job.Tokens.TokenScales[job.Tokens.Source(row)];
        Finish(job.Tokens, job.Projections, scale, row, column, count, totals);
    }

    private void Decode(uint* words, int columns, float* decoded)
    {
        if (Layer.Weights.Format == WeightFormat.E2M1)
        {
            math.DecodeE2M1(words, columns, decoded);
        }
        else
        {
            math.DecodeE4M3(words, columns, decoded);
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
        public int PaddedRows;
        public RowBlocks Blocks;
        public float* Projections;
    }

    private readonly struct ReadRows(Job job) : IParallelBody
    {
        public void Run(int index) =>
            job.Kernel.ReadAndProject(job, index, job.Floats + ((long)index * job.Kernel.Layer.Weights.Layout.RowStride));
    }

    private readonly struct ReadTiles(Job job) : IParallelBody
    {
        public void Run(int index) => job.Kernel.ReadTile(job, index * RowStep);
    }

    private readonly struct MultiplyRows(Job job) : IParallelBody
    {
        public void Run(int index) => job.Kernel.MultiplyFew(job, index);
    }

    private readonly struct MultiplyPanels(Job job) : IParallelBody
    {
        public void Run(int index)
        {
            (int group, int firstRow, int rows) = job.Blocks.At(index);
            int shared = SharedPanels(job.Kernel.Layer.Weights.Panels), first = group * MostPanels;
            (int panel, int panels) = first < shared ? (first, MostPanels) : (group + shared - (shared / MostPanels), 1);
            job.Kernel.Multiply(job, panel, panels, firstRow, rows);
        }
    }
}
