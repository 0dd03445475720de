namespace Zqfp.Numerics;

/// <summary>
/// What a low-rank correction leaves of a loss that is already known: with F = U D,
/// tr((E - F) H (E - F)^T) = tr(E H E^T) - 2 tr(E H F^T) + tr(F H F^T), and both corrections need only thin products.
/// </summary>
internal static unsafe class CorrectedLoss
{
    /// <summary>Computes tr((E - F) H (E - F)^T).</summary>
    /// <param name="loss">tr(E H E^T).</param>
    /// <param name="error">E.</param>
    /// <param name="factors">F.</param>
    public static double Compute(double loss, IErrorProducts error, LowRankFactors factors)
    {
        int rank = factors.Rank;
        int width = VectorMath.RoundUp(rank, TileKernel.ColumnStep);
        using AlignedBuffer down = factors.DownColumns(error.PaddedColumns, width);
        using AlignedBuffer weighted = error.MultiplyHessian(down, width);
        using AlignedBuffer product = error.Multiply(weighted, width);
        double[] downGram = Basis.SymmetricProduct(down, weighted, error.PaddedColumns, width);
        double[] upGram = new double[rank * rank];
        double cross = 0;
        for (int n = 0; n < error.Rows; n++)
        {
            ReadOnlySpan<float> up = factors.Up.AsSpan(n * rank, rank);
            cross += VectorMath.Dot(up, product.Slice((long)n * width, rank));
            for (int i = 0; i < rank; i++)
            {
                for (int j = 0; j < rank; j++)
                {
                    upGram[(i * rank) + j] += (double)up[i] * up[j];
                }
            }
        }

        double own = 0;
        for (int i = 0; i < rank; i++)
        {
            own += VectorMath.Dot(upGram.AsSpan(i * rank, rank), downGram.AsSpan(i * width, rank));
        }

        return loss - (2 * cross) + own;
    }
}
