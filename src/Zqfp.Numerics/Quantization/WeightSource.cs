namespace Zqfp.Numerics;

/// <summary>The matrix to quantize, row by row: the layer's weights, less a low-rank part. Never materialized.</summary>
internal sealed class WeightSource(ReadOnlyMemory<float> values, int rows, int columns, LowRankFactors? lowRank)
{
    public int Rows { get; } = rows;

    public int Columns { get; } = columns;

    /// <summary>All rows.</summary>
    public ReadOnlyMemory<float> ToMemory(Workers workers)
    {
        if (lowRank is null)
        {
            return values;
        }

        float[] rest = new float[values.Length];
        workers.For(Rows, row => CopyRow(row, rest.AsSpan(row * Columns, Columns)));
        return rest;
    }

    public void CopyRow(int row, Span<float> target)
    {
        values.Span.Slice(row * Columns, Columns).CopyTo(target);
        lowRank?.SubtractFromRow(row, target[..Columns]);
    }
}
