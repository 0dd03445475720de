namespace Zqfp.Numerics;

/// <summary>The low-rank correction of a layer: y += Up (Down x). Its values are already rounded to the storage type.</summary>
/// <param name="Rank">r.</param>
/// <param name="Down">[r, K], row-major.</param>
/// <param name="Up">[N, r], row-major.</param>
internal sealed record LowRankFactors(int Rank, float[] Down, float[] Up)
{
    /// <summary>Down with its rows as columns: [paddedColumns, width], zeros where there is none.</summary>
    internal unsafe AlignedBuffer DownColumns(int paddedColumns, int width)
    {
        int columns = Down.Length / Rank;
        var down = new AlignedBuffer((long)paddedColumns * width);
        for (int i = 0; i < Rank; i++)
        {
            for (int k = 0; k < columns; k++)
            {
                down.Data[((long)k * width) + i] = Down[(i * columns) + k];
            }
        }

        return down;
    }

    internal void SubtractFromRow(int row, Span<float> target) => AddToRow(row, target, -1);

    internal void AddToRow(int row, Span<float> target, float sign = 1)
    {
        for (int i = 0; i < Rank; i++)
        {
            VectorMath.AddScaled(target, sign * Up[(row * Rank) + i], Down.AsSpan(i * target.Length, target.Length));
        }
    }
}
