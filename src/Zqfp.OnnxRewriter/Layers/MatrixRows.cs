namespace Zqfp.OnnxRewriter;

/// <summary>Reads a constant matrix row by row as float32, whatever type and order it is stored in, some rows at a time.</summary>
/// <param name="file">The model.</param>
/// <param name="weight">The constant.</param>
/// <param name="rows">Rows of the matrix.</param>
/// <param name="columns">Columns of the matrix.</param>
/// <param name="isColumnMajor">Whether it is stored [columns, rows].</param>
internal sealed class MatrixRows(OnnxFile file, ConstantWeight weight, int rows, int columns, bool isColumnMajor)
{
    /// <summary>Numbers that are read at once, about.</summary>
    private const int Strip = 1 << 22;

    private readonly WeightNumbers _numbers = new(file, weight);

    /// <summary>The rows of an embedding.</summary>
    public static MatrixRows Of(OnnxFile file, EmbeddingTable table) =>
        new(file, table.Weight, table.Rows, table.Columns, table.Weight.Transposed);

    /// <summary>The rows of a layer's weight [N, K].</summary>
    public static MatrixRows Of(OnnxFile file, LinearLayer layer) =>
        new(file, layer.Source, layer.OutFeatures, layer.InFeatures, layer.StoredInputMajor);

    /// <summary>All rows, a few at a time.</summary>
    /// <param name="cancellation">Stops between two strips.</param>
    /// <returns>The first row's number and whole rows; the array is used again for the next.</returns>
    public IEnumerable<(int First, ReadOnlyMemory<float> Rows)> Strips(CancellationToken cancellation)
    {
        int height = Math.Clamp(Strip / columns, 1, rows);
        float[] strip = new float[height * columns];
        float[] column = isColumnMajor ? new float[height] : [];
        for (int first = 0; first < rows; first += height)
        {
            cancellation.ThrowIfCancellationRequested();
            int count = Math.Min(height, rows - first);
            if (!isColumnMajor)
            {
                _numbers.Read((long)first * columns, strip.AsSpan(0, count * columns));
            }

            for (int c = 0; isColumnMajor && c < columns; c++)
            {
                _numbers.Read(((long)c * rows) + first, column.AsSpan(0, count));
                for (int r = 0; r < count; r++)
                {
                    strip[(r * columns) + c] = column[r];
                }
            }

            yield return (first, strip.AsMemory(0, count * columns));
        }
    }
}
