using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Formats of weight codes.</summary>
internal enum WeightFormat
{
    /// <summary>FP4 E2M1, eight codes in a 32-bit word.</summary>
    E2M1,

    /// <summary>FP8 E4M3, four codes in a 32-bit word.</summary>
    E4M3,
}

/// <summary>
/// A layer's weights, packed once when its kernel is made. Panels of 64 rows of W lie one behind the other; in a panel, word w
/// of all 64 rows, then word w + 1 of all of them: one vector register holds the next columns of 16 rows, and a panel is read
/// from front to back. Rows and columns that only fill up are zero.
/// </summary>
internal sealed unsafe class PackedWeights : IDisposable
{
    /// <summary>Rows of W (columns of the product) in a panel.</summary>
    public const int PanelWidth = 64;

    /// <summary>Rows of W of a quarter of a panel.</summary>
    public const int PartWidth = PanelWidth / 4;

    private readonly NativeBuffer _codes;
    private readonly NativeBuffer _scales;
    private readonly NativeBuffer _rowScales;

    private PackedWeights(WeightFormat format, int rows, GroupLayout layout)
    {
        Format = format;
        Rows = rows;
        Layout = layout;
        Panels = (rows + PanelWidth - 1) / PanelWidth;
        WordsPerRow = layout.PaddedColumns / CodesPerWord(format);
        _codes = new NativeBuffer((long)Panels * PanelWidth * WordsPerRow * sizeof(uint));
        _scales = new NativeBuffer((long)Panels * PanelWidth * layout.Groups * sizeof(float));
        _rowScales = new NativeBuffer((long)Panels * PanelWidth * sizeof(float));
    }

    public WeightFormat Format { get; }

    /// <summary>N.</summary>
    public int Rows { get; }

    public GroupLayout Layout { get; }

    public int Panels { get; }

    private int WordsPerRow { get; }

    /// <summary>Columns in a 32-bit word.</summary>
    public static int CodesPerWord(WeightFormat format) => format == WeightFormat.E2M1 ? 8 : 4;

    /// <summary>Packs weights whose group scales are S · 2^-E.</summary>
    /// <param name="format">What the codes are.</param>
    /// <param name="codes">[N, K] codes; 4-bit ones two to a byte, the first in the low half, contiguous over the whole matrix.</param>
    /// <param name="exponents">[N, groups].</param>
    /// <param name="rowScales">[N].</param>
    /// <param name="rows">N.</param>
    /// <param name="layout">The columns.</param>
    public static PackedWeights FromExponents(
        WeightFormat format, ReadOnlySpan<byte> codes, ReadOnlySpan<byte> exponents, ReadOnlySpan<float> rowScales,
        int rows, GroupLayout layout)
    {
        var packed = new PackedWeights(format, rows, layout);
        fixed (byte* firstExponent = exponents)
        fixed (float* firstScale = rowScales)
        {
            byte* allExponents = firstExponent;
            float* allScales = firstScale;
            packed.Pack(codes, row => packed.SetScales(row, allExponents + ((long)row * layout.Groups), allScales[row]));
        }
        return packed;
    }

    /// <summary>Packs weights under unconstrained group scales.</summary>
    /// <param name="format">What the codes are.</param>
    /// <param name="codes">As in <see cref="FromExponents"/>.</param>
    /// <param name="scales">[N, groups].</param>
    /// <param name="rows">N.</param>
    /// <param name="layout">The columns.</param>
    public static PackedWeights FromScales(
        WeightFormat format, ReadOnlySpan<byte> codes, ReadOnlySpan<float> scales, int rows, GroupLayout layout)
    {
        var packed = new PackedWeights(format, rows, layout);
        fixed (float* firstScale = scales)
        {
            float* allScales = firstScale;
            packed.Pack(codes, row => packed.SetScales(row, allScales + ((long)row * layout.Groups)));
        }
        return packed;
    }

    /// <summary>The words of a panel from a laid-out column on.</summary>
    public uint* Codes(int panel, int column) =>
        (uint*)_codes.Bytes + (((long)panel * WordsPerRow) + (column / CodesPerWord(Format))) * PanelWidth;

    /// <summary>The scales of a group for the 64 rows of a panel, relative to <see cref="RowScales"/>.</summary>
    public float* Scales(int panel, int group) => _scales.Floats + (((long)panel * Layout.Groups) + group) * PanelWidth;

    /// <summary>What the total of each of a panel's 64 rows is multiplied by.</summary>
    public float* RowScales(int panel) => _rowScales.Floats + ((long)panel * PanelWidth);

    public void Dispose()
    {
        _codes.Dispose();
        _scales.Dispose();
        _rowScales.Dispose();
    }

    /// <summary>
    /// Packs the panels, several at once on all cores: each is written by one thread, whatever their order. A row with a NaN among
    /// its codes gets NaN for its scale and 0 for the code, which spoils its results as the code would have, and spares the
    /// kernels to look for it.
    /// </summary>
    private void Pack(ReadOnlySpan<byte> codes, Action<int> setScalesOfRow)
    {
        bool wordsAreWhole = Layout.IsDense && Layout.Columns % CodesPerWord(Format) == 0;
        fixed (byte* firstCode = codes)
        {
            byte* allCodes = firstCode;
            Parallel.For(0, Panels, panel =>
            {
                int firstRow = panel * PanelWidth;
                int rows = Math.Min(PanelWidth, Rows - firstRow);
                for (int row = firstRow; row < firstRow + rows; row++)
                {
                    setScalesOfRow(row);
                }
                if (wordsAreWhole)
                {
                    // The file's order of codes is a word's order of codes.
                    InterleaveRows((uint*)(allCodes + ((long)firstRow * WordsPerRow * sizeof(uint))), rows, Codes(panel, 0));
                }
                else
                {
                    for (int i = 0; i < rows; i++)
                    {
                        PackRaggedRow(allCodes, firstRow + i, Codes(panel, 0) + i);
                    }
                }
                if (Format == WeightFormat.E4M3)
                {
                    MoveNaNToRowScales(panel);
                }
            });
        }
    }

    /// <summary>Relative to the row's smallest exponent, so that a row of large exponents keeps its precision.</summary>
    [MethodImpl(HotLoop.Options)]
    private void SetScales(int row, byte* exponents, float rowScale)
    {
        int smallest = 255;
        for (int group = 0; group < Layout.Groups; group++)
        {
            smallest = Math.Min(smallest, exponents[group]);
        }
        for (int group = 0; group < Layout.Groups; group++)
        {
            Scales(row / PanelWidth, group)[row % PanelWidth] = MathF.ScaleB(1, smallest - exponents[group]);
        }
        RowScales(row / PanelWidth)[row % PanelWidth] = MathF.ScaleB(rowScale, -smallest);
    }

    [MethodImpl(HotLoop.Options)]
    private void SetScales(int row, float* scales)
    {
        for (int group = 0; group < Layout.Groups; group++)
        {
            Scales(row / PanelWidth, group)[row % PanelWidth] = scales[group];
        }
        RowScales(row / PanelWidth)[row % PanelWidth] = 1;
    }

    /// <summary>Word w of row i becomes word 64 w + i, in blocks that a first-level cache holds.</summary>
    [MethodImpl(HotLoop.Options)]
    private void InterleaveRows(uint* source, int rows, uint* destination)
    {
        const int Block = 16;
        for (int first = 0; first < WordsPerRow; first += Block)
        {
            int end = Math.Min(first + Block, WordsPerRow);
            for (int i = 0; i < rows; i++)
            {
                uint* row = source + ((long)i * WordsPerRow);
                for (int word = first; word < end; word++)
                {
                    destination[((long)word * PanelWidth) + i] = row[word];
                }
            }
        }
    }

    [MethodImpl(HotLoop.Options)]
    private void PackRaggedRow(byte* codes, int row, uint* destination)
    {
        int perWord = CodesPerWord(Format);
        int bits = 32 / perWord;
        for (int column = 0; column < Layout.Columns; column++)
        {
            long index = ((long)row * Layout.Columns) + column;
            uint code = Format == WeightFormat.E4M3 ? codes[index] : (uint)(codes[index / 2] >> (4 * (int)(index % 2))) & 15;
            int laidOut = Layout.GroupStart(column / Layout.GroupSize) + (column % Layout.GroupSize);
            destination[(long)(laidOut / perWord) * PanelWidth] |= code << (laidOut % perWord * bits);
        }
    }

    [MethodImpl(HotLoop.Options)]
    private void MoveNaNToRowScales(int panel)
    {
        const uint Magnitudes = 0x7F7F7F7F, Ones = 0x01010101, Signs = 0x80808080;
        uint* words = Codes(panel, 0);
        long count = (long)WordsPerRow * PanelWidth;
        for (long i = 0; i < count; i += Vector256<uint>.Count)
        {
            // A magnitude of 127 carries into the place of the sign.
            Vector256<uint> carried =
                ((Vector256.Load(words + i) & Vector256.Create(Magnitudes)) + Vector256.Create(Ones)) & Vector256.Create(Signs);
            if (carried == Vector256<uint>.Zero)
            {
                continue;
            }
            for (int j = 0; j < Vector256<uint>.Count; j++)
            {
                if (carried[j] != 0)
                {
                    words[i + j] &= ~((carried[j] >> 7) * 0xFF);
                    RowScales(panel)[(i + j) % PanelWidth] = float.NaN;
                }
            }
        }
    }
}
