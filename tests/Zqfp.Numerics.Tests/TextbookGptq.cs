namespace Zqfp.Numerics.Tests;

/// <summary>GPTQ's recursion as its authors write it, unblocked and in double.</summary>
internal static class TextbookGptq
{
    public static double[] Quantize(
        float[] weights, int rows, int columns, Hessian hessian, QuantizedMatrix scales, double damping, bool actOrder)
    {
        int[] order = [.. Enumerable.Range(0, columns)];
        if (actOrder)
        {
            order = [.. order.OrderByDescending(i => hessian.Row(i)[i])];
        }

        double mean = order.Average(i => (double)hessian.Row(i)[i]);
        double[,] damped = new double[columns, columns];
        for (int i = 0; i < columns; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                damped[i, j] = hessian.Row(order[i])[order[j]] + (i == j ? damping * mean : 0);
            }
        }

        // Lower factor L of the inverse; its transpose is the upper factor.
        double[,] upper = Cholesky(Inverse(damped));
        double[] result = new double[weights.Length];
        for (int r = 0; r < rows; r++)
        {
            double[] w = [.. order.Select(column => (double)weights[(r * columns) + column])];
            for (int c = 0; c < columns; c++)
            {
                int column = order[c];
                float scale = scales.Scale(r, column / scales.GroupSize);
                double q = scales.Format.Round((float)w[c] / scale) * scale;
                result[(r * columns) + column] = q;
                double error = (w[c] - q) / upper[c, c];
                for (int j = c; j < columns; j++)
                {
                    w[j] -= error * upper[j, c];
                }
            }
        }

        return result;
    }

    private static double[,] Cholesky(double[,] matrix)
    {
        int n = matrix.GetLength(0);
        double[,] lower = new double[n, n];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                double sum = matrix[i, j];
                for (int k = 0; k < j; k++)
                {
                    sum -= lower[i, k] * lower[j, k];
                }

                lower[i, j] = i == j ? Math.Sqrt(sum) : sum / lower[j, j];
            }
        }

        return lower;
    }

    private static double[,] Inverse(double[,] matrix)
    {
        int n = matrix.GetLength(0);
        double[,] a = (double[,])matrix.Clone();
        double[,] inverse = new double[n, n];
        for (int i = 0; i < n; i++)
        {
            inverse[i, i] = 1;
        }

        // Gauss-Jordan without pivoting: the matrix is positive definite.
        for (int p = 0; p < n; p++)
        {
            double pivot = a[p, p];
            for (int j = 0; j < n; j++)
            {
                a[p, j] /= pivot;
                inverse[p, j] /= pivot;
            }

            for (int i = 0; i < n; i++)
            {
                double factor = a[i, p];
                if (i == p || factor == 0)
                {
                    continue;
                }

                for (int j = 0; j < n; j++)
                {
                    a[i, j] -= factor * a[p, j];
                    inverse[i, j] -= factor * inverse[p, j];
                }
            }
        }

        return inverse;
    }
}
