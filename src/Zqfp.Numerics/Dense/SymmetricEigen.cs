using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.LinearAlgebra.Double;
using MathNet.Numerics.LinearAlgebra.Factorization;

namespace Zqfp.Numerics;

/// <summary>Eigenvectors of a small symmetric positive semidefinite matrix, in double.</summary>
internal static class SymmetricEigen
{
    /// <summary>Decomposes M = V^T diag(values) V.</summary>
    /// <param name="matrix">M, row-major [size, size].</param>
    /// <param name="size">Order.</param>
    /// <param name="values">Eigenvalues, descending; those that rounding made negative are 0.</param>
    /// <returns>V: eigenvectors as rows, in the order of the eigenvalues.</returns>
    public static double[] Decompose(double[] matrix, int size, out double[] values)
    {
        // Symmetric, so the order of rows and columns does not matter.
        Evd<double> eigen = new DenseMatrix(size, size, matrix).Evd(Symmetricity.Symmetric);
        double[] ascending = [.. eigen.EigenValues.Select(value => Math.Max(0, value.Real))];
        values = [.. ascending.Reverse()];
        double[] vectors = new double[size * size];
        for (int i = 0; i < size; i++)
        {
            eigen.EigenVectors.Column(size - 1 - i).AsArray().CopyTo(vectors, i * size);
        }

        return vectors;
    }
}
