namespace Zqfp.CudaOps;

/// <summary>
/// Multiplies many rows: they are laid out in tiles once, as elements of 32 bits; then panels of 64 columns of Y are computed
/// independently, each by decoding strips of it into a first-level cache and multiplying all tiles with them.
/// </summary>
/// <param name="signature">The operator.</param>
/// <param name="layer">Its constants.</param>
/// <param name="scratch">Working memory.</param>
/// <param name="stripWidth">Rows of W of a strip.</param>
/// <param name="rowUnit">Rows of X that a unit of <see cref="RowTiles"/> has.</param>
/// <param name="elementColumns">Columns of X that an element holds.</param>
internal abstract unsafe class TiledMatMulKernel(
    MatMulSignature signature, MatMulLayer layer, ScratchPool scratch, int stripWidth, int rowUnit, int elementColumns)
    : MatMulKernel(signature, layer)
{
    /// <summary>Rows of W of a panel.</summary>
    protected const int Width = PackedWeights.PanelWidth;

    /// <summary>Rows of a block at most: a chunk of them takes 256 KiB, which a second-level cache holds.</summary>
    private const int MostRows = 256;

    /// <summary>
    /// Panels that take turns with a chunk while its rows are in that cache; and of how many panels the last are taken one by one, so that
    /// threads end together.
    /// </summary>
    private const int MostPanels = 4, LastPanels = 8;

    /// <summary>Rows that are read at once: a tile's, or two of them.</summary>
    private const int RowStep = 12;

    /// <summary>Working memory.</summary>
    protected ScratchPool Scratch => scratch;

    /// <summary>Floats of a row's low-rank projection where this kernel takes it.</summary>
    protected int ProjectionLength => Layer.LowRank?.A?.ResultLength ?? 0;

    /// <summary>Bytes that a row has beside its elements.</summary>
    protected abstract int SideBytes { get; }

    /// <summary>Lays out a row, and takes its low-rank projection.</summary>
    /// <param name="tokens">The call's rows.</param>
    /// <param name="row">Which.</param>
    /// <param name="elements">Receives its elements.</param>
    /// <param name="side">Receives what it has beside them.</param>
    /// <param name="projection">Receives its projection, where the layer has a factor for it.</param>
    protected abstract void ReadRow(in TokenRows tokens, int row, float* elements, byte* side, float* projection);

    /// <summary>Makes ready what the strips of a chunk share.</summary>
    /// <param name="chunk">Which.</param>
    /// <param name="tiles">How the block's rows are divided.</param>
    /// <param name="rows">How many there are.</param>
    /// <param name="sides">What they have beside their elements.</param>
    /// <param name="decoded">As of <see cref="Multiply(in Strip, float*, in RowTiles, int, float*, float*)"/>.</param>
    protected virtual void BeginChunk(int chunk, in RowTiles tiles, int rows, byte* sides, float* decoded)
    {
    }

    /// <summary>Decodes a chunk of a strip and multiplies the tiles of a block of rows with it.</summary>
    /// <param name="strip">Which.</param>
    /// <param name="x">The tiles.</param>
    /// <param name="tiles">How they are divided.</param>
    /// <param name="rows">The block's rows.</param>
    /// <param name="decoded">Room for the strip's chunk, and as much as <see cref="ScratchIntegers"/> says behind it.</param>
    /// <param name="totals">Totals, a strip's width for each row.</param>
    protected abstract void Multiply(in Strip strip, float* x, in RowTiles tiles, int rows, float* decoded, float* totals);

    /// <summary>Integers of room that multiplying a strip needs for each row.</summary>
    protected abstract int ScratchIntegers { get; }

    /// <summary>Sx of a row.</summary>
    protected abstract float Scale(in TokenRows tokens, int row, byte* side);

    /// <summary>Computes the product.</summary>
    /// <param name="context">The call.</param>
    /// <param name="tokens">Its rows, at least one.</param>
    /// <param name="readCost">Nanoseconds to lay out an element of X and to project it.</param>
    /// <param name="multiplyCost">Nanoseconds of a multiply-add.</param>
    protected void MultiplyTiles(in OrtKernelContext context, in TokenRows tokens, double readCost, double multiplyCost)
    {
        PackedWeights weights = Layer.Weights;
        int rows = tokens.Count;
        var blocks = RowBlocks.Of(PanelGroups(weights.Panels), rows, MostRows, RowStep);
        int padded = rows - blocks.LastRows + new RowTiles(blocks.LastRows, rowUnit).Rows;
        long elementBytes = (long)padded * (weights.Layout.RowStride / elementColumns) * sizeof(float);
        NativeBuffer buffer = scratch.Rent(elementBytes + (rows * ((long)SideBytes + (ProjectionLength * sizeof(float)))));
        try
        {
            byte* sides = buffer.Bytes + elementBytes;
            var job = new Job
            {
                Kernel = this,
                Tokens = tokens,
                Elements = buffer.Floats,
                PaddedRows = padded,
                Blocks = blocks,
                Sides = sides,
                Projections = tokens.Projections is null ? (float*)(sides + ((long)rows * SideBytes)) : tokens.Projections,
            };
            double elements = (double)rows * weights.Layout.RowStride;
            KernelLoop.Run(context, (padded + RowStep - 1) / RowStep, new ReadTiles(job), elements * readCost);
            KernelLoop.Run(context, blocks.Count, new MultiplyPanels(job), elements * weights.Rows * multiplyCost);
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

    /// <summary>Rows of X become tiles, chunk after chunk.</summary>
    private void ReadTile(in Job job, int firstRow)
    {
        GroupLayout layout = Layer.Weights.Layout;
        int stride = layout.RowStride / elementColumns;
        NativeBuffer buffer = scratch.Rent((long)RowStep * stride * sizeof(float));
        try
        {
            int rows = Math.Min(RowStep, job.PaddedRows - firstRow);
            for (int i = 0; i < rows; i++)
            {
                float* elements = buffer.Floats + ((long)i * stride);
                int row = firstRow + i;
                if (row < job.Tokens.Count)
                {
                    ReadRow(job.Tokens, row, elements, Side(job, row), job.Projections + ((long)row * ProjectionLength));
                }
                else
                {
                    new Span<float>(elements, stride).Clear();
                }
            }

            int block = firstRow / job.Blocks.RowsPerBlock * job.Blocks.RowsPerBlock;
            var tiles = new RowTiles(Math.Min(job.Blocks.RowsPerBlock, job.Tokens.Count - block), rowUnit);
            foreach (ref readonly GroupLayout.Chunk chunk in layout.Chunks.AsSpan())
            {
                int length = chunk.Length / elementColumns;
                for (int i = 0; i < rows; i += tiles.WriteRows)
                {
                    float* source = buffer.Floats + ((long)i * stride) + (chunk.Start / elementColumns);
                    int row = firstRow + i - block;
                    (int first, int tileRows) = tiles.Of(row);
                    float* tile = Chunk(job, chunk.Start) + ((long)(block + first) * length);
                    tiles.Write(source, stride, length, tile + row - first, tileRows);
                }
            }
        }
        finally
        {
            scratch.Return(buffer);
        }
    }

    /// <summary>Where the tiles of a chunk begin, one behind the other.</summary>
    private float* Chunk(in Job job, int start) => job.Elements + ((long)(start / elementColumns) * job.PaddedRows);

    private byte* Side(in Job job, int row) => job.Sides + ((long)row * SideBytes);

    /// <summary>Some panels of Y for a block of rows.</summary>
    private void Multiply(in Job job, int firstPanel, int panels, int firstRow, int rows)
    {
        PackedWeights weights = Layer.Weights;
        var tiles = new RowTiles(rows, rowUnit);
        long decodedLength = (stripWidth * (long)GroupLayout.ChunkLength) + ((long)ScratchIntegers * tiles.Rows);
        NativeBuffer buffer = scratch.Rent((decodedLength + ((long)panels * Width * tiles.Rows)) * sizeof(float));
        try
        {
            float* decoded = buffer.Floats, totals = decoded + decodedLength;
            new Span<float>(totals, panels * Width * tiles.Rows).Clear();
            for (int chunk = 0; chunk < weights.Layout.Chunks.Length; chunk++)
            {
                GroupLayout.Chunk columns = weights.Layout.Chunks[chunk];
                BeginChunk(chunk, tiles, rows, Side(job, firstRow), decoded);
                float* x = Chunk(job, columns.Start) + ((long)firstRow * (columns.Length / elementColumns));
                for (int part = 0; part < panels * Width; part += stripWidth)
                {
                    var strip = new Strip(firstPanel + (part / Width), part % Width, chunk);
                    Multiply(strip, x, tiles, rows, decoded, totals + ((long)part * tiles.Rows));
                }
            }

            // Nothing is decoded any more.
            float* scales = decoded;
            for (int row = 0; row < rows; row++)
            {
                scales[row] = Scale(job.Tokens, firstRow + row, Side(job, firstRow + row));
            }

            for (int part = 0; part < panels * Width; part += stripWidth)
            {
                float* source = totals + ((long)part * tiles.Rows);
                Finish(job.Tokens, job.Projections, scales, firstRow, rows, (firstPanel * Width) + part, stripWidth, source);
            }
        }
        finally
        {
            scratch.Return(buffer);
        }
    }

    /// <summary>Columns of a strip.</summary>
    /// <param name="Panel">Its panel.</param>
    /// <param name="Part">Its first row in the panel.</param>
    /// <param name="Chunk">Which chunk of columns.</param>
    protected readonly record struct Strip(int Panel, int Part, int Chunk);

    /// <summary>One call's rows and working memory.</summary>
    private struct Job
    {
        public TiledMatMulKernel Kernel;
        public TokenRows Tokens;
        public float* Elements;
        public int PaddedRows;
        public RowBlocks Blocks;
        public byte* Sides;
        public float* Projections;
    }

    private readonly struct ReadTiles(Job job) : IParallelBody
    {
        public void Run(int index) => job.Kernel.ReadTile(job, index * RowStep);
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
