namespace Zqfp.Numerics.Tests;

public sealed class SymmetricEigenTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(64)]
    public void Vectors_are_orthonormal_and_rebuild_the_matrix(int size)
    {
        using Hessian hessian = RandomData.Hessian(size, 3);
        double[] matrix = new double[size * size];
        for (int i = 0; i < matrix.Length; i++)
        {
            matrix[i] = hessian.Row(i / size)[i % size];
        }

        double[] vectors = SymmetricEigen.Decompose((double[])matrix.Clone(), size, out double[] values);
        Assert.Equal(values.OrderDescending(), values);
        for (int i = 0; i < size; i++)
        {
            for (int j = 0; j < size; j++)
            {
                double rebuilt = 0, dot = 0;
                for (int k = 0; k < size; k++)
                {
                    rebuilt += vectors[(k * size) + i] * values[k] * vectors[(k * size) + j];
                    dot += vectors[(i * size) + k] * vectors[(j * size) + k];
                }

                Assert.Equal(matrix[(i * size) + j], rebuilt, tolerance: 1e-10);
                Assert.Equal(i == j ? 1 : 0, dot, tolerance: 1e-10);
            }
        }
    }

    [Fact]
    public void A_singular_matrix_has_zero_values()
    {
        SymmetricEigen.Decompose([1, 1, 0, 1, 1, 0, 0, 0, 0], 3, out double[] values);
        Assert.Equal([2, 0, 0], values.Select(value => Math.Round(value, 12)));
    }
}
