namespace Zqfp.Numerics;

/// <summary>A weight matrix [Rows, Columns] as codes and group scales along the columns. Its arrays must not be changed.</summary>
internal sealed class QuantizedMatrix
{
    internal QuantizedMatrix(int rows, int columns, NumberFormat format, ScaleTable scales, byte[] codes)
    {
        Rows = rows;
        Columns = columns;
        Format = format;
        GroupSize = scales.GroupSize;
        Groups = scales.Groups;
        Codes = codes;
        RowScales = scales.RowScales;
        Exponents = scales.Exponents;
        GroupScales = scales.RowScales is null ? scales.Effective : null;
    }

    private QuantizedMatrix(QuantizedMatrix all, int first, int rows)
    {
        (Rows, Columns, Format, GroupSize, Groups) = (rows, all.Columns, all.Format, all.GroupSize, all.Groups);
        Codes = Format.Bits == 8
            ? all.Codes.AsSpan(first * Columns, rows * Columns).ToArray()
            : NibblePacking.Slice(all.Codes, (long)first * Columns, rows * Columns);
        RowScales = all.RowScales?[first..(first + rows)];
        Exponents = all.Exponents?[(first * Groups)..((first + rows) * Groups)];
        GroupScales = all.GroupScales?[(first * Groups)..((first + rows) * Groups)];
    }

    /// <summary>N: output channels.</summary>
    public int Rows { get; }

    /// <summary>K: input columns.</summary>
    public int Columns { get; }

    /// <summary>Columns that share a scale; <see cref="Columns"/> when a group is a whole row.</summary>
    public int GroupSize { get; }

    /// <summary>Groups of a row: ceil(<see cref="Columns"/> / <see cref="GroupSize"/>); the last may be ragged.</summary>
    public int Groups { get; }

    /// <summary>Format of the codes.</summary>
    public NumberFormat Format { get; }

    /// <summary>
    /// The codes, row-major. 8-bit: one a byte. 4-bit: two a byte, low nibble first, contiguous over the whole tensor, so that
    /// with an odd number of columns every other row starts in a high nibble (ONNX's layout).
    /// </summary>
    public byte[] Codes { get; }

    /// <summary>S_max of each row [Rows] with <see cref="ScaleConstraint.M2"/>, else null.</summary>
    public float[]? RowScales { get; }

    /// <summary>Exponents k [Rows, Groups] with <see cref="ScaleConstraint.M2"/>, else null: the scale is S_max 2^-k.</summary>
    public byte[]? Exponents { get; }

    /// <summary>Scales [Rows, Groups] without <see cref="ScaleConstraint.M2"/>, else null.</summary>
    public float[]? GroupScales { get; }

    /// <summary>The scale of a group: what decoded codes are multiplied by.</summary>
    public float Scale(int row, int group) => RowScales is null
        ? GroupScales![(row * Groups) + group]
        : RowScales[row] * PowerOfTwo(-Exponents![(row * Groups) + group]);

    /// <summary>Some rows as a matrix of their own.</summary>
    public QuantizedMatrix Rowwise(int first, int rows) => new(this, first, rows);

    /// <summary>Writes the values of the whole matrix.</summary>
    /// <param name="values">Receives Rows * Columns values, row-major.</param>
    public void Dequantize(Span<float> values)
    {
        for (int row = 0; row < Rows; row++)
        {
            DequantizeRow(row, values.Slice(row * Columns, Columns));
        }
    }

    /// <summary>Writes the values of one row.</summary>
    /// <param name="row">Index of the row.</param>
    /// <param name="values">Receives <see cref="Columns"/> values.</param>
    public void DequantizeRow(int row, Span<float> values)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Rows, nameof(row));
        values = values[..Columns];
        long first = (long)row * Columns;
        if (Format.Bits == 8)
        {
            Format.Decode(Codes.AsSpan((int)first, Columns), values);
        }
        else if ((first & 1) == 0)
        {
            Format.DecodePacked(Codes.AsSpan((int)(first / 2)), values);
        }
        else
        {
            values[0] = Format.Decode((byte)(Codes[first / 2] >> 4));
            Format.DecodePacked(Codes.AsSpan((int)(first / 2) + 1), values[1..]);
        }

        for (int group = 0; group < Groups; group++)
        {
            int start = group * GroupSize;
            VectorMath.Scale(values[start..Math.Min(start + GroupSize, Columns)], Scale(row, group));
        }
    }

    internal static float PowerOfTwo(int exponent) => BitConverter.Int32BitsToSingle((exponent + 127) << 23);
}
