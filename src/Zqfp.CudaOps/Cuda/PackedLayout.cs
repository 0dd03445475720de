using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>
/// The one layout of FP4 weights on the device, shared by the decode, prefill and expansion kernels.
/// </summary>
/// <remarks>
/// <para>A matrix of N rows and K columns is cut into blocks of 64 rows x 256 columns; rows and columns are padded with
/// code 0. Blocks are stored row tile by row tile, within a tile along K. A block is 8192 bytes of codes followed by the
/// scales of its groups; it moves to shared memory as one contiguous copy.</para>
/// <para><b>Codes.</b> Four pieces v = 0..3 of 2048 bytes cover 64 columns each. In a piece, thread t = 0..127 of a
/// warpgroup owns bytes 16 t .. 16 t + 15: four little-endian 32-bit words. With warp w = t / 32, lane l = t % 32, word
/// i belongs to row 16 w + l / 4 + 8 (i % 2) and to step s = 2 v + i / 2 of 32 columns. Its eight codes are columns
/// 32 s + 4 (l % 4) + b and 32 s + 16 + 4 (l % 4) + b, b = 0..3: exactly the bytes of two operand registers of
/// <c>wgmma.m64nXk32</c>.</para>
/// <para><b>A word.</b> An E2M1 code (sign, exponent of two bits, mantissa of one) placed at bits 7, 4, 3, 2 of a byte is
/// the E4M3 number of 2^-6 times its value, zero and the subnormal 0.5 included. The four codes of the lower columns lie
/// so in their bytes: first = w AND 9C9C9C9C. The bits left over, 6, 5, 1, 0, are chosen such that
/// second = ((w &gt;&gt; 2) XOR (w &lt;&lt; 2)) AND 9C9C9C9C holds the other four; the two maps together are invertible.</para>
/// <para><b>Scales.</b> For every group of the block (256 / group of them) 64 values in the row order 16 w + 2 (r % 8) +
/// r / 8 for row 16 w + r, so that the two rows of a thread are neighbours. A group of scale S * 2^-k has one byte,
/// 139 - k: the biased exponent of the float 2^(12-k). Where groups are not constrained, one 32-bit float each, 2^12 times
/// the scale. A model's group of more than 256 columns is repeated in every block.</para>
/// </remarks>
internal sealed record PackedLayout
{
    /// <summary>Rows of a block.</summary>
    public const int BlockRows = 64;

    /// <summary>Columns of a block.</summary>
    public const int BlockColumns = 256;

    /// <summary>Largest exponent k the E4M3 range holds without loss.</summary>
    public const int MaxExponent = 14;

    /// <summary>What the kernels leave to the row scale: expanded weights are fp4 * 2^(6-k).</summary>
    public const float RowScaleFactor = 1f / 64;

    private const int ExponentBias = 127 + 12;
    private const float FloatScaleFactor = 1 << 12;
    private const uint CodeBits = 0x9C9C9C9C;

    private const int CodeBytes = BlockRows * BlockColumns / 2;

    /// <summary>Describes a matrix.</summary>
    /// <param name="rows">N.</param>
    /// <param name="columns">K, a multiple of 16.</param>
    /// <param name="groupSize">Columns that share a scale: 32, 64, 128 or a multiple of 256.</param>
    /// <param name="floatScales">Whether each group has a float scale in place of an exponent; then at least 128 columns a group.</param>
    /// <exception cref="ZqfpException">ZQFP4108: the layout cannot hold such a matrix; use <see cref="Supports"/> first.</exception>
    public PackedLayout(int rows, int columns, int groupSize, bool floatScales = false)
    {
        if (!Supports(rows, columns, groupSize, floatScales))
        {
            throw new ZqfpException("ZQFP4108",
                $"a {rows} x {columns} weight in groups of {groupSize} does not fit the packed layout, which needs K % 16 = 0 and "
                + "groups of 32, 64, 128 or a multiple of 256 columns (with float scales 128 or more). Such layers run on the simple "
                + "kernel.");
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
    /// <exception cref="ZqfpException">ZQFP4108: an exponent exceeds 14.</exception>
    public byte[] Pack(ReadOnlyMemory<byte> codes, ReadOnlyMemory<byte> exponents)
    {
        foreach (byte exponent in exponents.Span)
        {
            if (exponent > MaxExponent)
            {
                throw new ZqfpException("ZQFP4108",
                    $"a group exponent of {exponent} is outside what E4M3 holds exactly (0..{MaxExponent}); the layer runs on the simple "
                    + "kernel.");
            }
        }

        return PackCore(codes, (row, group, target) => target[0] = (byte)(ExponentBias - exponents.Span[(row * Groups) + group]));
    }

    /// <summary>Packs codes and unconstrained float scales [N, ceil(K / group)].</summary>
    public byte[] Pack(ReadOnlyMemory<byte> codes, ReadOnlyMemory<float> scales) =>
        PackCore(codes, (row, group, target) => MemoryMarshal.Write(target, FloatScaleFactor * scales.Span[(row * Groups) + group]));

    /// <summary>Decodes one element as the kernels do.</summary>
    /// <param name="packed">A packed matrix.</param>
    /// <param name="row">Row, below the padded count.</param>
    /// <param name="column">Column, below the padded count.</param>
    /// <returns>The E4M3 byte of 2^-6 times the code's value, and 2^12 times the group's scale without S.</returns>
    public (byte Operand, float Scale) Decode(ReadOnlySpan<byte> packed, int row, int column)
    {
        ReadOnlySpan<byte> block = packed.Slice(
            checked((int)(((((long)row / BlockRows) * ColumnBlocks) + (column / BlockColumns)) * BlockBytes)), BlockBytes);
        (int offset, int place) = Locate(row % BlockRows, column % BlockColumns);
        uint word = MemoryMarshal.Read<uint>(block[offset..]);
        uint operands = (place < 4 ? word : (word >> 2) ^ (word << 2)) & CodeBits;
        int index = ScaleIndex(row % BlockRows, column % BlockColumns / BlockGroup);
        float scale = FloatScales
            ? MemoryMarshal.Read<float>(block[(CodeBytes + (index * sizeof(float)))..])
            : BitConverter.Int32BitsToSingle(block[CodeBytes + index] << 23);
        return ((byte)(operands >> (8 * (place % 4))), scale);
    }

    /// <summary>The word that holds eight codes: 0..3 of the lower columns, 4..7 of the upper.</summary>
    internal static uint EncodeWord(ReadOnlySpan<byte> codes)
    {
        uint word = 0;
        uint carried = 0; // bit 1 of the byte above
        for (int b = 3; b >= 0; b--)
        {
            uint first = Spread(codes[b]), second = Spread(codes[4 + b]);
            uint bit5 = Bit(second, 7) ^ carried;
            uint bit1 = Bit(second, 3) ^ bit5;
            uint bit6 = Bit(second, 4) ^ Bit(first, 2);
            uint bit0 = Bit(second, 2) ^ Bit(first, 4);
            carried = bit1;
            word |= (first | (bit6 << 6) | (bit5 << 5) | (bit1 << 1) | bit0) << (8 * b);
        }

        return word;

        static uint Spread(byte code) => ((uint)(code & 8) << 4) | ((uint)(code & 7) << 2);
        static uint Bit(uint value, int bit) => (value >> bit) & 1;
    }

    private int Groups => (Columns + GroupSize - 1) / GroupSize;

    /// <summary>Byte offset of the word of an element of a block, and which of its eight codes it is.</summary>
    private static (int Offset, int Place) Locate(int row, int column)
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
                PackCodes(packed, source.Slice(row * sourceStride, sourceStride), rowBlock, local);
                for (int group = 0; group < ColumnBlocks * (BlockColumns / BlockGroup); group++)
                {
                    int column = group * BlockGroup;
                    if (column < Columns)
                    {
                        int inBlock = column % BlockColumns / BlockGroup;
                        writeScale(row, column / GroupSize,
                            BlockOf(packed, rowBlock, column / BlockColumns)[(CodeBytes + (ScaleIndex(local, inBlock) * scaleBytes))..]);
                    }
                }
            }
        });
        return packed;
    }

    /// <summary>Packs a row, 32 columns (four words) at a time; what lies past K is code 0.</summary>
    private void PackCodes(byte[] packed, ReadOnlySpan<byte> codes, int rowBlock, int local)
    {
        Span<byte> eight = stackalloc byte[8];
        for (int step = 0; step < Columns; step += 32)
        {
            Span<byte> block = BlockOf(packed, rowBlock, step / BlockColumns);
            for (int quarter = 0; quarter < 16; quarter += 4)
            {
                for (int b = 0; b < 4; b++)
                {
                    eight[b] = Code(codes, step + quarter + b);
                    eight[4 + b] = Code(codes, step + quarter + 16 + b);
                }

                (int offset, _) = Locate(local, (step % BlockColumns) + quarter);
                MemoryMarshal.Write(block[offset..], EncodeWord(eight));
            }
        }
    }

    private byte Code(ReadOnlySpan<byte> codes, int column) => column < Columns
        ? (byte)((codes[column / 2] >> (4 * (column % 2))) & 15)
        : (byte)0;

    private Span<byte> BlockOf(byte[] packed, int rowBlock, int columnBlock) =>
        packed.AsSpan(checked((int)((((long)rowBlock * ColumnBlocks) + columnBlock) * BlockBytes)), BlockBytes);
}
