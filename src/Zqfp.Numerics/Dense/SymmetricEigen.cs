namespace Zqfp.Numerics;

/// <summary>Eigenvectors of a small symmetric positive semidefinite matrix by one-sided Jacobi rotations, in double.</summary>
internal static class SymmetricEigen
{
    private const int MaxSweeps = 40;
    private const double Tolerance = 1e-14;

    /// <summary>Decomposes M = V^T diag(values) V.</summary>
    /// <param name="matrix">M, row-major [size, size]; destroyed.</param>
    /// <param name="size">Order.</param>
    /// <param name="values">Eigenvalues, descending.</param>
    /// <returns>V: eigenvectors as rows, in the order of the eigenvalues.</returns>
    public static double[] Decompose(double[] matrix, int size, out double[] values)
    {
        double[] rotation = new double[size * size];
        for (int i = 0; i < size; i++)
        {
            rotation[(i * size) + i] = 1;
        }

        // Rotating pairs of rows until all are orthogonal leaves J M = diag(values) V with V = J.
        for (int sweep = 0; sweep < MaxSweeps && Sweep(matrix, rotation, size); sweep++)
        {
        }

        double[] norms = new double[size];
        int[] order = new int[size];
        for (int i = 0; i < size; i++)
        {
            norms[i] = Math.Sqrt(VectorMath.Dot(Row(matrix, size, i), Row(matrix, size, i)));
            order[i] = i;
        }

        Array.Sort(order, (x, y) => norms[x] != norms[y] ? norms[y].CompareTo(norms[x]) : x.CompareTo(y));
        values = Array.ConvertAll(order, i => norms[i]);
        double[] vectors = new double[size * size];
        for (int i = 0; i < size; i++)
        {
            Row(rotation, size, order[i]).CopyTo(Row(vectors, size, i));
        }

        return vectors;
    }

    private static bool Sweep(double[] matrix, double[] rotation, int size)
    {
        bool rotated = false;
        for (int p = 0; p < size - 1; p++)
        {
            for (int q = p + 1; q < size; q++)
            {
                Span<double> x = Row(matrix, size, p);
                Span<double> y = Row(matrix, size, q);
                double xx = VectorMath.Dot(x, x);
                double yy = VectorMath.Dot(y, y);
                double xy = VectorMath.Dot(x, y);
                if (Math.Abs(xy) <= Tolerance * Math.Sqrt(xx * yy) || xy == 0)
                {
                    continue;
                }

                double tau = (yy - xx) / (2 * xy);
                double tangent = (tau >= 0 ? 1 : -1) / (Math.Abs(tau) + Math.Sqrt(1 + (tau * tau)));
                double cosine = 1 / Math.Sqrt(1 + (tangent * tangent));
                VectorMath.Rotate(x, y, cosine, cosine * tangent);
                VectorMath.Rotate(Row(rotation, size, p), Row(rotation, size, q), cosine, cosine * tangent);
                rotated = true;
            }
        }

        return rotated;
    }

    private static Span<double> Row(double[] matrix, int size, int index) => matrix.AsSpan(index * size, size);
}
