namespace Zqfp.Numerics;

/// <summary>The error of a quantization, row by row: E = W - Q, less a low-rank part when there is one. Never materialized.</summary>
internal sealed class ErrorSource(ReadOnlyMemory<float> weights, QuantizedMatrix quantized, LowRankFactors? lowRank)
{
    public int Rows => quantized.Rows;

    public int Columns => quantized.Columns;

    /// <summary>Writes one row of the error.</summary>
    /// <param name="row">Index of the row.</param>
    /// <param name="target">Receives <see cref="Columns"/> values; what follows is left alone.</param>
    public void CopyRow(int row, Span<float> target)
    {
        target = target[..Columns];
        quantized.DequantizeRow(row, target);
        VectorMath.SubtractFrom(weights.Span.Slice(row * Columns, Columns), target);
        lowRank?.SubtractFromRow(row, target);
    }
}
