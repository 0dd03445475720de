namespace Zqfp.Numerics.Tests;

public sealed unsafe class TiledFactorTests
{
    [Theory]
    [InlineData(5, 32)]
    [InlineData(96, 32)]
    [InlineData(172, 64)]
    [InlineData(300, 128)]
    public void The_factors_multiply_to_the_damped_Hessian(int size, int tile)
    {
        using Hessian hessian = RandomData.Hessian(size, 1);
        const double Damping = 0.02;
        using TiledFactor factor = TiledFactor.TryCreate(hessian, null, new bool[size], Damping, tile, 2, default)!;
        for (int i = 0; i < size; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                double sum = 0;
                for (int c = i; c < size; c++)
                {
                    sum += Upper(factor, i, c) * Upper(factor, j, c) * factor.Pivots[c];
                }

                Assert.Equal(hessian.Row(i)[j] + (i == j ? Damping : 0), sum, tolerance: 1e-5);
            }
        }
    }

    [Fact]
    public void An_order_permutes_rows_and_columns()
    {
        const int Size = 70;
        using Hessian hessian = RandomData.Hessian(Size, 2);
        int[] order = [.. Enumerable.Range(0, Size).Reverse()];
        float[] permuted = new float[Size * Size];
        for (int i = 0; i < permuted.Length; i++)
        {
            permuted[i] = hessian.Row(order[i / Size])[order[i % Size]];
        }

        using Hessian reversed = Hessian.FromDense(permuted, Size);
        using TiledFactor expected = TiledFactor.TryCreate(reversed, null, new bool[Size], 0.1, 32, 1, default)!;
        using TiledFactor actual = TiledFactor.TryCreate(hessian, order, new bool[Size], 0.1, 32, 1, default)!;
        Assert.Equal(expected.Pivots, actual.Pivots);
    }

    [Fact]
    public void A_matrix_that_is_not_positive_definite_is_refused()
    {
        using Hessian hessian = Hessian.FromDense([1, 2, 2, 1], 2);
        Assert.Null(TiledFactor.TryCreate(hessian, null, new bool[2], 0, 32, 1, default));
    }

    private static double Upper(TiledFactor factor, int row, int column)
    {
        if (row == column)
        {
            return 1;
        }

        int size = factor.TileSize;
        return factor.Tile(row / size, column / size)[(row % size * factor.Stride) + (column % size)];
    }
}
