namespace Zqfp.Numerics.Tests;

public sealed class GptqTests
{
    private static readonly QuantizationOptions Gptq = new() { Rank = 0, GroupSize = 64 };

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Its_loss_does_not_exceed_that_of_rounding_to_nearest(int seed)
    {
        using Hessian hessian = RandomData.Hessian(160, seed);
        float[] weights = RandomData.Uniform(48 * 160, seed);
        foreach (NumberFormat format in NumberFormat.All)
        {
            QuantizedLayer layer = LayerQuantizer.Quantize(weights, 48, 160, hessian, Gptq with { Format = format });
            QuantizedLayer rtn = LayerQuantizer.Quantize(
                weights, 48, 160, hessian, Gptq with { Format = format, Method = QuantizationMethod.Rtn });
            Assert.InRange(layer.Loss, 0, rtn.Loss * 1.0001);
        }
    }

    // The recursion as its authors write it, in double: Cholesky of the damped Hessian, inverse, upper Cholesky factor.
    [Theory]
    [InlineData(40, 32, false)]
    [InlineData(172, 128, false)]
    [InlineData(172, 32, true)]
    [InlineData(288, 128, true)]
    public void Codes_are_those_of_the_textbook_recursion(int columns, int blockSize, bool actOrder)
    {
        const int Rows = 19;
        using Hessian hessian = RandomData.Hessian(columns, 5);
        float[] weights = RandomData.Uniform(Rows * columns, 6);
        QuantizationOptions options = Gptq with { BlockSize = blockSize, ActOrder = actOrder };
        QuantizedMatrix matrix = LayerQuantizer.Quantize(weights, Rows, columns, hessian, options).Weights;
        float[] actual = new float[weights.Length];
        matrix.Dequantize(actual);
        double[] expected = TextbookGptq.Quantize(weights, Rows, columns, hessian, matrix, options.Damping, actOrder);
        int different = Enumerable.Range(0, actual.Length).Count(i => Math.Abs(actual[i] - expected[i]) > 1e-6);
        Assert.InRange(different, 0, weights.Length / 500);
    }

    [Theory]
    [InlineData(100, 172, 64)]
    [InlineData(33, 171, 0)]
    [InlineData(1, 5, 2)]
    public void The_reported_loss_is_that_of_the_result(int rows, int columns, int groupSize)
    {
        using Hessian hessian = RandomData.Hessian(columns, 7);
        float[] weights = RandomData.Uniform(rows * columns, 8);
        QuantizedLayer layer = LayerQuantizer.Quantize(
            weights, rows, columns, hessian, Gptq with { GroupSize = groupSize, RefineSweeps = 1 });
        float[] values = new float[weights.Length];
        layer.Weights.Dequantize(values);
        double expected = 0;
        for (int r = 0; r < rows; r++)
        {
            for (int i = 0; i < columns; i++)
            {
                for (int j = 0; j < columns; j++)
                {
                    expected += ((double)weights[(r * columns) + i] - values[(r * columns) + i]) * hessian.Row(i)[j]
                        * ((double)weights[(r * columns) + j] - values[(r * columns) + j]);
                }
            }
        }

        Assert.InRange(layer.Loss / expected, 0.999, 1.001);
        Assert.InRange(LayerQuantizer.Loss(weights, layer.Weights, null, hessian) / expected, 0.9999, 1.0001);
    }

    [Theory]
    [InlineData(QuantizationMethod.Rtn)]
    [InlineData(QuantizationMethod.Gptq)]
    internal void One_two_and_eight_threads_give_the_same_bytes(QuantizationMethod method)
    {
        const int Rows = 600, Columns = 301;
        using Hessian hessian = RandomData.Hessian(Columns, 1);
        float[] weights = RandomData.Uniform(Rows * Columns, 2);
        QuantizationOptions options = Gptq with
        {
            Method = method,
            Rank = 8,
            ScaleSearch = ScaleSearch.Pivot,
            ActOrder = true,
            RefineSweeps = 1,
            LowRankRefits = 1,
            LowRankWeighting = LowRankWeighting.ActivationWeighted,
        };
        QuantizedLayer expected = Run(1);
        foreach (int threads in new[] { 2, 8 })
        {
            QuantizedLayer actual = Run(threads);
            Assert.Equal(expected.Weights.Codes, actual.Weights.Codes);
            Assert.Equal(expected.Weights.RowScales, actual.Weights.RowScales);
            Assert.Equal(expected.Weights.Exponents, actual.Weights.Exponents);
            Assert.Equal(expected.LowRank!.Down, actual.LowRank!.Down);
            Assert.Equal(expected.LowRank.Up, actual.LowRank.Up);
            Assert.Equal(expected.Loss, actual.Loss);
        }

        QuantizedLayer Run(int threads) => LayerQuantizer.Quantize(weights, Rows, Columns, hessian, options with { MaxThreads = threads });
    }

    [Fact]
    public void Refining_lowers_the_loss_sweep_by_sweep()
    {
        using Hessian hessian = RandomData.Hessian(200, 3);
        float[] weights = RandomData.Uniform(64 * 200, 4);
        foreach (bool actOrder in new[] { false, true })
        {
            double[] losses = [.. Enumerable.Range(0, 5).Select(sweeps =>
                LayerQuantizer.Quantize(weights, 64, 200, hessian, Gptq with { RefineSweeps = sweeps, ActOrder = actOrder }).Loss)];
            for (int i = 1; i < losses.Length; i++)
            {
                Assert.InRange(losses[i], 0, losses[i - 1] * 1.000001);
            }

            Assert.InRange(losses[1], 0, losses[0] * 0.99);
        }
    }

    [Fact]
    public void Dead_columns_are_rounded_to_nearest_with_a_warning()
    {
        float[] x = RandomData.Tokens(200, 40, 1);
        for (int t = 0; t < 200; t++)
        {
            x[(t * 40) + 7] = 0;
        }

        using var gram = new GramAccumulator(40);
        gram.Add(x);
        using Hessian hessian = gram.ToHessian();
        float[] weights = RandomData.Uniform(10 * 40, 2);
        QuantizedLayer layer = LayerQuantizer.Quantize("mlp", weights, 10, 40, hessian, Gptq with { RefineSweeps = 1 });
        QuantizedLayer nearest = LayerQuantizer.Quantize(
            "mlp", weights, 10, 40, null, Gptq with { Method = QuantizationMethod.Rtn, RefineSweeps = 0 });
        (float[] values, float[] expected) = (new float[400], new float[400]);
        layer.Weights.Dequantize(values);
        nearest.Weights.Dequantize(expected);
        Assert.All(Enumerable.Range(0, 10), row => Assert.Equal(expected[(row * 40) + 7], values[(row * 40) + 7]));
        Assert.Contains("'mlp': 1 of 40", Assert.Single(layer.Warnings, w => w.Code == "ZQFP2103").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Damping_is_raised_when_the_Hessian_cannot_be_factored()
    {
        // Three tokens in forty columns, and no damping asked for.
        using Hessian hessian = RandomData.Hessian(40, 1, tokens: 3);
        float[] weights = RandomData.Uniform(10 * 40, 2);
        QuantizedLayer layer = LayerQuantizer.Quantize("attn", weights, 10, 40, hessian, Gptq with { Damping = 0 });
        QuantizedLayer rtn = LayerQuantizer.Quantize("attn", weights, 10, 40, hessian, Gptq with { Method = QuantizationMethod.Rtn });
        QuantizationWarning warning = Assert.Single(layer.Warnings);
        Assert.Equal("ZQFP2101", warning.Code);
        Assert.Contains("'attn'", warning.Message, StringComparison.Ordinal);
        Assert.InRange(layer.Loss, 0, rtn.Loss);
    }
}
