namespace Zqfp.CudaOps;

/// <summary>Rows of Y sorted by expert, in working memory: the tiles, and behind them the order (sorted_rows.cuh).</summary>
/// <param name="count">Rows of Y.</param>
/// <param name="experts">Experts.</param>
/// <param name="width">Rows of a tile.</param>
internal readonly struct SortedRows(int count, int experts, int width)
{
    /// <summary>So many rows at most are sorted by each of the product's blocks for itself, rather than by a kernel before.</summary>
    public const int FewRows = 32;

    /// <summary>More experts than this do not fit the sorting block's shared memory and threads.</summary>
    public const int MostExperts = 1536;

    /// <summary>Threads of the one block that sorts.</summary>
    public const int Threads = 1024;

    private const int Warps = Threads / 32, TileBytes = 16;

    /// <summary>Whether a kernel sorts before the product.</summary>
    public bool HaveKernel => count > FewRows;

    /// <summary>Tiles at most, for any indices: each expert's last one may be nearly empty, also that of rows without one.</summary>
    public int MostTiles => (int)((count + ((long)Math.Min(count, experts + 1) * (width - 1))) / width);

    /// <summary>Bytes in working memory.</summary>
    public long Bytes => HaveKernel ? OrderOffset + ((long)count * sizeof(int)) : 0;

    /// <summary>Where the order begins.</summary>
    public long OrderOffset => (1L + MostTiles) * TileBytes;

    /// <summary>Dynamic shared memory of the block that sorts, in bytes.</summary>
    public static int SharedBytes(int experts) => Warps * (experts + 1) * sizeof(int);

    /// <summary>Puts the sorting into a stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="kernel">sort_experts.cu, compiled for the width.</param>
    /// <param name="index">The expert of each row of Y, int64.</param>
    /// <param name="place">Working memory of <see cref="Bytes"/>, a multiple of 16.</param>
    public void Launch(nint stream, CudaKernel kernel, ulong index, ulong place)
    {
        KernelArguments arguments = default;
        arguments.Add(index);
        arguments.Add(place);
        arguments.Add(place + (ulong)OrderOffset);
        arguments.Add(count);
        arguments.Add(experts);
        kernel.Launch(stream, new LaunchSize(1, 1, 1, Threads), ref arguments, overlap: true);
    }
}
