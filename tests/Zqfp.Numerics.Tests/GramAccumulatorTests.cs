namespace Zqfp.Numerics.Tests;

public sealed class GramAccumulatorTests
{
    [Theory]
    [InlineData(1, 3)]
    [InlineData(64, 300)]
    [InlineData(172, 1000)]
    [InlineData(288, 257)]
    public void The_Hessian_is_twice_the_mean_outer_product(int columns, int tokens)
    {
        float[] x = RandomData.Tokens(tokens, columns, 4);
        using var gram = new GramAccumulator(columns);
        gram.Add(x);
        using Hessian hessian = gram.ToHessian();
        Assert.Equal(tokens, hessian.Tokens);
        for (int i = 0; i < columns; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                double sum = 0;
                for (int t = 0; t < tokens; t++)
                {
                    sum += (double)x[(t * columns) + i] * x[(t * columns) + j];
                }

                Assert.Equal(2 * sum / tokens, hessian.Row(i)[j], tolerance: 1e-5);
            }
        }
    }

    [Fact]
    public void Neither_threads_nor_the_division_into_calls_change_a_bit()
    {
        const int Columns = 200;
        float[] x = RandomData.Tokens(1111, Columns, 9);
        float[] expected = Accumulate(1, 1111);
        Assert.Equal(expected, Accumulate(2, 1));
        Assert.Equal(expected, Accumulate(8, 100));

        float[] Accumulate(int threads, int tokensPerCall)
        {
            using var gram = new GramAccumulator(Columns, threads);
            for (int start = 0; start < x.Length; start += tokensPerCall * Columns)
            {
                gram.Add(x.AsSpan(start, Math.Min(tokensPerCall * Columns, x.Length - start)));
            }

            using Hessian hessian = gram.ToHessian();
            float[] values = new float[Columns * Columns];
            hessian.CopyTo(values);
            return values;
        }
    }

    [Fact]
    public void Activations_that_are_no_whole_tokens_are_a_coded_error()
    {
        using var gram = new GramAccumulator(8);
        Assert.Equal("ZQFP2001", Assert.Throws<ZqfpException>(() => gram.Add(new float[12])).Code);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(1e30f)]
    public void Activations_that_are_not_finite_are_a_coded_error(float value)
    {
        using var gram = new GramAccumulator(8);
        float[] x = new float[16];
        x[11] = value;
        gram.Add(x);
        Assert.Equal("ZQFP2003", Assert.Throws<ZqfpException>(gram.ToHessian).Code);
    }

    [Fact]
    public void A_Hessian_of_no_tokens_is_a_coded_error()
    {
        using var gram = new GramAccumulator(8);
        Assert.Equal("ZQFP2003", Assert.Throws<ZqfpException>(gram.ToHessian).Code);
    }
}
