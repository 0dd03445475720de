using System.Runtime.InteropServices;

namespace Zqfp.CudaOps.Cpu;

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
        WeightFormat format, ReadOnlySpan<byte> codes, ReadOnlySpan<byte> exponents, ReadOnlySpan<float> rowScales, int rows, GroupLayout layout)
    {
        var packed = new PackedWeights(format, rows, layout);
        packed.PackCodes(codes);
        for (int row = 0; row < rows; row++)
        {
            // Relative to the row's smallest exponent, so that a row of large exponents keeps its precision.
            ReadOnlySpan<byte> ofRow = exponents.Slice(row * layout.Groups, layout.Groups);
            int smallest = 255;
            foreach (byte exponent in ofRow)
            {
                smallest = Math.Min(smallest, exponent);
            }
            for (int group = 0; group < layout.Groups; group++)
            {
                packed.Scales(row / PanelWidth, group)[row % PanelWidth] = MathF.ScaleB(1, smallest - ofRow[group]);
            }
            packed.RowScales(row / PanelWidth)[row % PanelWidth] = MathF.ScaleB(rowScales[row], -smallest);
        }
        return packed;
    }

    /// <summary>Packs weights under unconstrained group scales.</summary>
    /// <param name="format">What the codes are.</param>
    /// <param name="codes">As in <see cref="FromExponents"/>.</param>
    /// <param name="scales">[N, groups].</param>
    /// <param name="rows">N.</param>
    /// <param name="layout">The columns.</param>
    public static PackedWeights FromScales(WeightFormat format, ReadOnlySpan<byte> codes, ReadOnlySpan<float> scales, int rows, GroupLayout layout)
    {
        var packed = new PackedWeights(format, rows, layout);
        packed.PackCodes(codes);
        for (int row = 0; row < rows; row++)
        {
            for (int group = 0; group < layout.Groups; group++)
            {
                packed.Scales(row / PanelWidth, group)[row % PanelWidth] = scales[(row * layout.Groups) + group];
            }
            packed.RowScales(row / PanelWidth)[row % PanelWidth] = 1;
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

    private void PackCodes(ReadOnlySpan<byte> codes)
    {
        bool wordsAreWhole = Layout.IsDense && Layout.Columns % CodesPerWord(Format) == 0;
        for (int row = 0; row < Rows; row++)
        {
            uint* destination = Codes(row / PanelWidth, 0) + (row % PanelWidth);
            if (wordsAreWhole)
            {
                // The file's order of codes is a word's order of codes.
                int bytesPerRow = WordsPerRow * sizeof(uint);
                ReadOnlySpan<uint> words = MemoryMarshal.Cast<byte, uint>(codes.Slice(row * bytesPerRow, bytesPerRow));
                for (int word = 0; word < words.Length; word++)
                {
                    destination[(long)word * PanelWidth] = words[word];
                }
            }
            else
            {
                PackRaggedRow(codes, row, destination);
            }
        }
    }

    private void PackRaggedRow(ReadOnlySpan<byte> codes, int row, uint* destination)
    {
        int perWord = CodesPerWord(Format);
        int bits = 32 / perWord;
        for (int column = 0; column < Layout.Columns; column++)
        {
            long index = ((long)row * Layout.Columns) + column;
            uint code = Format == WeightFormat.E4M3 ? codes[(int)index] : (uint)(codes[(int)(index / 2)] >> (4 * (int)(index % 2))) & 15;
            int laidOut = Layout.GroupStart(column / Layout.GroupSize) + (column % Layout.GroupSize);
            destination[(long)(laidOut / perWord) * PanelWidth] |= code << (laidOut % perWord * bits);
        }
    }
}
