namespace Zqfp.Numerics;

/// <summary>
/// What an error costs once the low-rank branch has taken what it can of it: for a branch U D with D fixed,
/// min over U of tr((E - U D) H (E - U D)^T) = tr(E H' E^T) with H' = H - H D^T (D H D^T)^-1 D H.
/// </summary>
/// <remarks>H' is positive semidefinite and zero along the rows of D, so that GPTQ lets the error fall there.</remarks>
internal static class BranchFreeHessian
{
    /// <summary>Eigenvalues of D H D^T below this share of the largest count as none: the rows of D depend on each other there.</summary>
    private const double Least = 1e-6;

    /// <summary>H'.</summary>
    /// <param name="hessian">H.</param>
    /// <param name="factors">The branch.</param>
    /// <param name="workers">Who computes.</param>
    public static Hessian Of(Hessian hessian, LowRankFactors factors, Workers workers)
    {
        int rank = factors.Rank;
        int columns = hessian.Size;
        int width = VectorMath.RoundUp(rank, TileKernel.ColumnStep);
        using AlignedBuffer down = factors.DownColumns(hessian.PaddedSize, width);
        using AlignedBuffer weighted = Basis.MultiplyHessian(hessian, down, width, workers.Threads, workers.Cancellation);
        double[] gram = Basis.SymmetricProduct(down, weighted, hessian.PaddedSize, width);
        double[] vectors = SymmetricEigen.Decompose(gram, width, out double[] values);

        // H' = H - L^T L with L = values^-1/2 V D H.
        float[] parts = new float[(long)rank * columns];
        float[] weights = new float[width];
        int count = 0;
        for (; count < rank && values[count] > Least * values[0]; count++)
        {
            double scale = 1 / Math.Sqrt(values[count]);
            for (int j = 0; j < width; j++)
            {
                weights[j] = (float)(scale * vectors[(count * width) + j]);
            }

            for (int k = 0; k < columns; k++)
            {
                parts[(count * columns) + k] = (float)VectorMath.Dot(weights, weighted.Slice((long)k * width, width));
            }
        }

        var rest = new Hessian(columns, hessian.Tokens);
        workers.For(columns, i =>
        {
            Span<float> row = rest.MutableRow(i);
            hessian.Row(i).CopyTo(row);
            for (int p = 0; p < count; p++)
            {
                VectorMath.AddScaled(row, -parts[(p * columns) + i], parts.AsSpan(p * columns, columns));
            }
        });
        rest.MirrorLowerTriangle(workers);
        return rest;
    }
}
