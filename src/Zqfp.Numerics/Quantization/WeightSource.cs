namespace Zqfp.Numerics;

/// <summary>The matrix to quantize, row by row: the layer's weights, less a low-rank part, with dead columns at 0. Never materialized.</summary>
internal sealed class WeightSource(ReadOnlyMemory<float> values, int rows, int columns, int[] deadColumns, LowRankFactors? lowRank)
{
    public int Rows { get; } = rows;

    public int Columns { get; } = columns;

    public void CopyRow(int row, Span<float> target)
    {
        values.Span.Slice(row * Columns, Columns).CopyTo(target);
        lowRank?.SubtractFromRow(row, target[..Columns]);
        foreach (int column in deadColumns)
        {
            target[column] = 0;
        }
    }
}
