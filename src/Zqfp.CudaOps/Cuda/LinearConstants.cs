namespace Zqfp.CudaOps;

/// <summary>The constants of a quantized linear layer as the operators' contract has them (docs/operators.md), on the host.</summary>
/// <param name="Rows">N.</param>
/// <param name="Columns">K.</param>
/// <param name="GroupSize">Columns that share a scale, 1 to K.</param>
/// <param name="Codes">E2M1 codes [N, K], two to a byte, the first in the low half, contiguous over the whole matrix.</param>
/// <param name="Exponents">k [N, ceil(K / group)], empty where <paramref name="GroupScales"/> are given.</param>
/// <param name="RowScales">S [N], empty where <paramref name="GroupScales"/> are given.</param>
/// <param name="GroupScales">Unconstrained scales [N, ceil(K / group)], or empty.</param>
/// <param name="Bias">[N], or empty.</param>
/// <param name="LowRankA">A [r, K]; empty without a low-rank branch, and where tokens come with A xq.</param>
/// <param name="LowRankB">B [N, r], or empty.</param>
/// <param name="Rank">r, 0 without a low-rank branch.</param>
/// <param name="Format">What the codes are; E4M3 codes are [N, K], one to a byte.</param>
/// <param name="HasQuantizedTokens">Whether tokens come as E4M3 codes with scales, or in float or float16.</param>
internal sealed record LinearConstants(
    int Rows,
    int Columns,
    int GroupSize,
    ReadOnlyMemory<byte> Codes,
    ReadOnlyMemory<byte> Exponents,
    ReadOnlyMemory<float> RowScales,
    ReadOnlyMemory<float> GroupScales,
    ReadOnlyMemory<float> Bias,
    ReadOnlyMemory<float> LowRankA,
    ReadOnlyMemory<float> LowRankB,
    int Rank,
    WeightFormat Format = WeightFormat.E2M1,
    bool HasQuantizedTokens = true)
{
    /// <summary>Whether the fast kernels' layout holds these weights without loss.</summary>
    public bool FitsPackedLayout =>
        Format == WeightFormat.E2M1 && HasQuantizedTokens
        && PackedLayout.Supports(Rows, Columns, PackedGroupSize, !GroupScales.IsEmpty)
        && !Exponents.Span.ContainsAnyExceptInRange((byte)0, (byte)PackedLayout.MaxExponent);

    /// <summary>The group size for the packed layout: a group of a whole row may count columns that are not there.</summary>
    internal int PackedGroupSize => GroupSize < Columns ? GroupSize
        : (Columns + PackedLayout.BlockColumns - 1) / PackedLayout.BlockColumns * PackedLayout.BlockColumns;

    /// <summary>The codes with every row on a byte of its own: [N, ceil(K / 2)], or [N, K] of E4M3.</summary>
    internal ReadOnlyMemory<byte> RowCodes()
    {
        if (Columns % 2 == 0 || Format != WeightFormat.E2M1)
        {
            return Codes;
        }

        int stride = (Columns + 1) / 2;
        byte[] rows = new byte[(long)Rows * stride];
        ReadOnlySpan<byte> codes = Codes.Span;
        for (int row = 0; row < Rows; row++)
        {
            for (int column = 0; column < Columns; column++)
            {
                long index = ((long)row * Columns) + column;
                int code = (codes[(int)(index / 2)] >> (4 * (int)(index % 2))) & 15;
                rows[(row * stride) + (column / 2)] |= (byte)(code << (4 * (column % 2)));
            }
        }

        return rows;
    }
}
