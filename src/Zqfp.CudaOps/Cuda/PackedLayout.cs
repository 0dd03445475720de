using System.Runtime.InteropServices;

namespace Zqfp.CudaOps.Cuda;

/// <summary>
/// The one layout of FP4 weights on the device, shared by the decode, prefill and expansion kernels.
/// </summary>
/// <remarks>
/// <para>A matrix of N rows and K columns is cut into blocks of 64 rows x 256 columns; rows and columns are padded with
/// code 0. Blocks are stored row tile by row tile, within a tile along K. A block is 8192 bytes of codes followed by the
/// scales of its groups; it moves to shared memory as one contiguous copy.</para>
/// <para><b>Codes.</b> Four pieces v = 0..3 of 2048 bytes cover 64 columns each. In a piece, thread t = 0..127 of a
/// warpgroup owns bytes 16 t .. 16 t + 15: four little-endian 32-bit words. With warp w = t / 32, lane l = t % 32, word
/// i belongs to row 16 w + l / 4 + 8 (i % 2) and to step s = 2 v + i / 2 of 32 columns. The word's nibble j = 0..7 is
/// column 32 s + 4 (l % 4) + j for j &lt; 4, and 32 s + 16 + 4 (l % 4) + j - 4 otherwise: exactly the bytes of two operand
/// registers of <c>wgmma.m64nXk32</c>. Bits 0..2 of nibble j hold the magnitude of code j. Signs are moved to where the
/// FP8 sign bits are: bit 3 of nibble 2 b + 1 is the sign of code b, bit 3 of nibble 2 b the sign of code 4 + b, b = 0..3.</para>
/// <para><b>Scales.</b> For every group of the block (256 / group of them) 64 values in the row order 16 w + 2 (r % 8) +
/// r / 8 for row 16 w + r, so that the two rows of a thread are neighbours: one byte k each (scale = S * 2^-k, k = 0..14),
/// or one 32-bit float each where the groups are not constrained. A model's group of more than 256 columns is repeated.</para>
/// </remarks>
public sealed record PackedLayout
{
    /// <summary>Rows of a block.</summary>
    public const int BlockRows = 64;

    /// <summary>Columns of a block.</summary>
    public const int BlockColumns = 256;

    /// <summary>Largest exponent k the E4M3 range holds without loss.</summary>
    public const int MaxExponent = 14;

    /// <summary>What the kernels leave to the row scale: codes are decoded to fp4 * 2^(6-k).</summary>
    public const float RowScaleFactor = 1f / 64;

    private const int CodeBytes = BlockRows * BlockColumns / 2;

    /// <summary>Describes a matrix.</summary>
    /// <param name="rows">N.</param>
    /// <param name="columns">K, a multiple of 16.</param>
    /// <param name="groupSize">Columns that share a scale: 32, 64, 128 or a multiple of 256.</param>
    /// <param name="floatScales">Whether each group has a float scale in place of an exponent; then at least 128 columns a group.</param>
    /// <exception cref="CudaException">ZQFP4108: the layout cannot hold such a matrix; use <see cref="Supports"/> first.</exception>
    public PackedLayout(int rows, int columns, int groupSize, bool floatScales = false)
    {
        if (!Supports(rows, columns, groupSize, floatScales))
        {
            throw new CudaException("ZQFP4108",
                $"a {rows} x {columns} weight in groups of {groupSize} does not fit the packed layout, which needs K % 16 = 0 and groups of "
                + "32, 64, 128 or a multiple of 256 columns (with float scales 128 or more). Such layers run on the simple kernel.");
        }

        Rows = rows;
        Columns = columns;
        GroupSize = groupSize;
        FloatScales = floatScales;
    }

    /// <summary>N.</summary>
    public int Rows { get; }

    /// <summary>K.</summary>
    public int Columns { get; }

    /// <summary>Columns of the model's groups.</summary>
    public int GroupSize { get; }

    /// <summary>Whether groups carry floats, not exponents.</summary>
    public bool FloatScales { get; }

    /// <summary>Columns that share a scale inside a block.</summary>
    public int BlockGroup => Math.Min(GroupSize, BlockColumns);

    /// <summary>ceil(N / 64).</summary>
    public int RowBlocks => (Rows + BlockRows - 1) / BlockRows;

    /// <summary>ceil(K / 256).</summary>
    public int ColumnBlocks => (Columns + BlockColumns - 1) / BlockColumns;

    /// <summary>Bytes of a block.</summary>
    public int BlockBytes => CodeBytes + (BlockRows * (BlockColumns / BlockGroup) * (FloatScales ? sizeof(float) : 1));

    /// <summary>Bytes of the matrix.</summary>
    public long Bytes => (long)RowBlocks * ColumnBlocks * BlockBytes;

    /// <summary>Whether the layout can hold such a matrix.</summary>
    public static bool Supports(int rows, int columns, int groupSize, bool floatScales = false) =>
        rows > 0 && columns > 0 && columns % 16 == 0
        && (groupSize is 32 or 64 or 128 || (groupSize > 0 && groupSize % BlockColumns == 0))
        && (!floatScales || groupSize >= 128);

    /// <summary>Packs codes and exponents.</summary>
    /// <param name="codes">E2M1 codes [N, K / 2], two a byte, the lower column in the low nibble.</param>
    /// <param name="exponents">k [N, ceil(K / group)], 0..14.</param>
    /// <returns>The packed matrix, <see cref="Bytes"/> long.</returns>
    /// <exception cref="CudaException">ZQFP4108: an exponent exceeds 14.</exception>
    public byte[] Pack(ReadOnlyMemory<byte> codes, ReadOnlyMemory<byte> exponents)
    {
        foreach (byte exponent in exponents.Span)
        {
            if (exponent > MaxExponent)
            {
                throw new CudaException("ZQFP4108", $"a group exponent of {exponent} is outside what E4M3 holds exactly (0..{MaxExponent}); the layer runs on the simple kernel.");
            }
        }

        return PackCore(codes, (row, group, target) => target[0] = exponents.Span[(row * Groups) + group]);
    }

    /// <summary>Packs codes and unconstrained float scales [N, ceil(K / group)].</summary>
    public byte[] Pack(ReadOnlyMemory<byte> codes, ReadOnlyMemory<float> scales) =>
        PackCore(codes, (row, group, target) => MemoryMarshal.Write(target, scales.Span[(row * Groups) + group]));

    /// <summary>Decodes one element as the kernels do: the E4M3 byte of fp4 * 2^(6-k), or * 2^6 under float scales.</summary>
    /// <param name="packed">A packed matrix.</param>
    /// <param name="row">Row, below the padded count.</param>
    /// <param name="column">Column, below the padded count.</param>
    public byte Decode(ReadOnlySpan<byte> packed, int row, int column)
    {
        ReadOnlySpan<byte> block = packed.Slice(checked((int)(((((long)row / BlockRows) * ColumnBlocks) + (column / BlockColumns)) * BlockBytes)), BlockBytes);
        (int offset, int nibble) = Locate(row % BlockRows, column % BlockColumns);
        uint word = MemoryMarshal.Read<uint>(block[offset..]);
        int exponent = FloatScales ? 0 : block[CodeBytes + ScaleIndex(row % BlockRows, column % BlockColumns / BlockGroup)];
        // The byte the table selects for this nibble, and the sign bit where the kernel masks it out.
        uint magnitude = (word >> (4 * nibble)) & 7;
        uint signs = nibble < 4 ? word & 0x80808080 : (word << 4) & 0x80808080;
        return (byte)(Magnitude((int)magnitude, exponent) | ((signs >> (8 * (nibble % 4))) & 0x80));
    }

    /// <summary>The E4M3 byte of the magnitude of an E2M1 code times 2^(6-k).</summary>
    internal static byte Magnitude(int code, int exponent)
    {
        if (code == 0)
        {
            return 0;
        }

        // Code 1 is 2^-1; code 2 p + h for p >= 1 is 2^(p-1), half as much again where h = 1.
        bool half = code > 1 && (code & 1) == 1;
        int power = (code == 1 ? -1 : (code >> 1) - 1) + 6 - exponent;
        const int Bias = 7;
        int biased = power + Bias;
        return biased >= 1
            ? (byte)((biased << 3) | (half ? 4 : 0))
            : (byte)((half ? 12 : 8) >> (1 - biased));
    }

    private int Groups => (Columns + GroupSize - 1) / GroupSize;

    /// <summary>Byte offset of the word, and nibble in it, of an element of a block.</summary>
    private static (int Offset, int Nibble) Locate(int row, int column)
    {
        int step = column / 32, inStep = column % 32;
        int lane = ((row % 8) * 4) + (inStep % 16 / 4);
        int thread = (row / 16 * 32) + lane;
        int word = (row % 16 / 8) + (step % 2 * 2);
        return (((step / 2) * 2048) + (thread * 16) + (word * 4), (inStep % 4) + (inStep / 16 * 4));
    }

    private static int ScaleIndex(int row, int group) => (group * BlockRows) + (row / 16 * 16) + (row % 8 * 2) + (row % 16 / 8);

    private byte[] PackCore(ReadOnlyMemory<byte> codes, Action<int, int, Span<byte>> writeScale)
    {
        int sourceStride = Columns / 2, scaleBytes = FloatScales ? sizeof(float) : 1;
        ArgumentOutOfRangeException.ThrowIfNotEqual(codes.Length, Rows * sourceStride, nameof(codes));
        byte[] packed = new byte[Bytes];
        Parallel.For(0, RowBlocks, rowBlock =>
        {
            ReadOnlySpan<byte> source = codes.Span;
            for (int local = 0; local < BlockRows && (rowBlock * BlockRows) + local < Rows; local++)
            {
                int row = (rowBlock * BlockRows) + local;
                for (int column = 0; column < Columns; column++)
                {
                    Span<byte> block = BlockOf(packed, rowBlock, column / BlockColumns);
                    uint code = (uint)(source[(row * sourceStride) + (column / 2)] >> (4 * (column % 2))) & 15;
                    (int offset, int nibble) = Locate(local, column % BlockColumns);
                    int signBit = nibble < 4 ? (8 * nibble) + 7 : (8 * (nibble - 4)) + 3;
                    ref uint word = ref MemoryMarshal.AsRef<uint>(block[offset..]);
                    word |= ((code & 7) << (4 * nibble)) | ((code >> 3) << signBit);
                }

                for (int group = 0; group < ColumnBlocks * (BlockColumns / BlockGroup); group++)
                {
                    int column = group * BlockGroup;
                    if (column < Columns)
                    {
                        int inBlock = column % BlockColumns / BlockGroup;
                        writeScale(row, column / GroupSize, BlockOf(packed, rowBlock, column / BlockColumns)[(CodeBytes + (ScaleIndex(local, inBlock) * scaleBytes))..]);
                    }
                }
            }
        });
        return packed;
    }

    private Span<byte> BlockOf(byte[] packed, int rowBlock, int columnBlock) =>
        packed.AsSpan(checked((int)((((long)rowBlock * ColumnBlocks) + columnBlock) * BlockBytes)), BlockBytes);
}
