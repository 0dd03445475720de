namespace Zqfp.Numerics;

/// <summary>(2/N) sum t a^T, float32 [rows, columns], beside the <see cref="Hessian"/> (2/N) sum a a^T. It owns its memory.</summary>
internal sealed unsafe class CrossMoment : IDisposable
{
    private readonly AlignedBuffer _values;

    public CrossMoment(int rows, int columns)
    {
        Rows = rows;
        Columns = columns;
        PaddedRows = VectorMath.RoundUp(rows, TokenTiles.Tile);
        Stride = TileKernel.Stride(VectorMath.RoundUp(columns, TokenTiles.Tile));
        _values = new AlignedBuffer((long)PaddedRows * Stride);
    }

    /// <summary>Values of t.</summary>
    public int Rows { get; }

    /// <summary>K, values of a.</summary>
    public int Columns { get; }

    /// <summary>Rows with the zeros that follow them.</summary>
    public int PaddedRows { get; }

    /// <summary>Elements between two rows.</summary>
    public int Stride { get; }

    public float* Data => _values.Data;

    /// <summary>One row, <see cref="Columns"/> values.</summary>
    public Span<float> Row(int index) => _values.Slice((long)index * Stride, Columns);

    /// <summary>Some of the rows.</summary>
    public CrossMoment Pick(ReadOnlySpan<int> rows)
    {
        var picked = new CrossMoment(rows.Length, Columns);
        for (int i = 0; i < rows.Length; i++)
        {
            Row(rows[i]).CopyTo(picked.Row(i));
        }

        return picked;
    }

    /// <summary>Adds another moment of the same shape.</summary>
    public void Add(CrossMoment other)
    {
        for (int row = 0; row < Rows; row++)
        {
            VectorMath.AddScaled(Row(row), 1, other.Row(row));
        }
    }

    public void Dispose() => _values.Dispose();
}
