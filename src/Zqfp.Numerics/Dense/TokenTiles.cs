namespace Zqfp.Numerics;

/// <summary>
/// Tokens gathered to blocks, in tiles of 128 columns, [tile][token][column]: the layout in which the kernel reads both operands of a sum
/// of outer products.
/// </summary>
internal sealed unsafe class TokenTiles : IDisposable
{
    /// <summary>Columns of a tile.</summary>
    public const int Tile = 128;

    /// <summary>Tokens of a block: the length of the float32 sums.</summary>
    public const int Block = 256;

    /// <summary>Elements between two tokens of a tile.</summary>
    public static readonly int Stride = TileKernel.Stride(Tile);

    private readonly AlignedBuffer _tokens;

    public TokenTiles(int columns)
    {
        Columns = columns;
        Count = (columns + Tile - 1) / Tile;
        _tokens = new AlignedBuffer((long)Count * Block * Stride);
    }

    /// <summary>Values of a token.</summary>
    public int Columns { get; }

    /// <summary>Tiles of a token; the last is padded with zeros.</summary>
    public int Count { get; }

    /// <summary>Columns of a tile that hold values, rounded up to what the kernel takes at once.</summary>
    public int Width(int tile) => VectorMath.RoundUp(Math.Min(Tile, Columns - (tile * Tile)), TileKernel.ColumnStep);

    /// <summary>First token of a tile.</summary>
    public float* Data(int tile) => _tokens.Data + ((long)tile * Block * Stride);

    /// <summary>Puts a token into its place of the block.</summary>
    public void Set(int place, ReadOnlySpan<float> token)
    {
        for (int tile = 0; tile < Count; tile++)
        {
            int start = tile * Tile;
            int length = Math.Min(Tile, Columns - start);
            token.Slice(start, length).CopyTo(_tokens.Slice((((long)tile * Block) + place) * Stride, length));
        }
    }

    /// <summary>All tiles, one behind the other.</summary>
    public AlignedBuffer Buffer => _tokens;

    public void Dispose() => _tokens.Dispose();
}
