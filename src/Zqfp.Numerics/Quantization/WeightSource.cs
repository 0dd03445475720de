namespace Zqfp.Numerics;

/// <summary>The matrix to quantize, row by row: the layer's weights, less a low-rank part. Never materialized.</summary>
internal sealed class WeightSource(ReadOnlyMemory<float> values, int rows, int columns, LowRankFactors? lowRank)
{
    public int Rows { get; } = rows;

    public int Columns { get; } = columns;

    public void CopyRow(int row, Span<float> target)
    {
        values.Span.Slice(row * Columns, Columns).CopyTo(target);
        lowRank?.SubtractFromRow(row, target[..Columns]);
    }
}
