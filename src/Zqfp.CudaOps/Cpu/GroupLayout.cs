namespace Zqfp.CudaOps;

/// <summary>
/// How a row of K values is laid out for the kernels: each group of columns starts at a multiple of 8, its end filled with
/// zeros, and is cut into chunks of at most <see cref="ChunkLength"/> columns. A chunk is summed on its own and then added to
/// the total under its group's scale; since every path does it in this order, all of them give the same bits.
/// </summary>
internal sealed class GroupLayout
{
    /// <summary>The most columns summed before the total is touched.</summary>
    public const int ChunkLength = 256;

    /// <summary>Codes are packed this many columns at a time.</summary>
    public const int Alignment = 8;

    public GroupLayout(int columns, int groupSize)
    {
        Columns = columns;
        GroupSize = groupSize;
        Groups = (columns + groupSize - 1) / groupSize;
        var chunks = new List<Chunk>();
        int start = 0;
        for (int group = 0; group < Groups; group++)
        {
            int length = Math.Min(groupSize, columns - (group * groupSize));
            int padded = (length + Alignment - 1) / Alignment * Alignment;
            for (int done = 0; done < padded; done += ChunkLength)
            {
                chunks.Add(new Chunk(start + done, Math.Min(ChunkLength, padded - done), group));
            }
            start += padded;
        }
        PaddedColumns = start;
        Chunks = [.. chunks];
    }

    /// <summary>K.</summary>
    public int Columns { get; }

    /// <summary>Columns under one scale.</summary>
    public int GroupSize { get; }

    /// <summary>ceil(K / group size).</summary>
    public int Groups { get; }

    /// <summary>K with every group filled up; a multiple of 8.</summary>
    public int PaddedColumns { get; }

    /// <summary>From one laid-out row of X to the next: <see cref="PaddedColumns"/> filled up with zeros to a multiple of 16.</summary>
    public int RowStride => (PaddedColumns + 15) / 16 * 16;

    /// <summary>The chunks, in the order they are summed.</summary>
    public Chunk[] Chunks { get; }

    /// <summary>True when nothing is filled up, so that a row is used as it is.</summary>
    public bool IsDense => PaddedColumns == Columns;

    /// <summary>Where a group starts in the laid-out row.</summary>
    public int GroupStart(int group) => group * ((GroupSize + Alignment - 1) / Alignment * Alignment);

    /// <summary>A run of columns of one group.</summary>
    /// <param name="Start">Its first column in the laid-out row, a multiple of 8.</param>
    /// <param name="Length">Its columns, a multiple of 8, at most <see cref="ChunkLength"/>.</param>
    /// <param name="Group">The group whose scale holds for it.</param>
    internal readonly record struct Chunk(int Start, int Length, int Group);
}
