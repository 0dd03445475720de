namespace Zqfp.Numerics.Tests;

public sealed class LowRankTests
{
    private static readonly QuantizationOptions Options = new()
    {
        Method = QuantizationMethod.Rtn,
        GroupSize = 32,
        LowRankStorage = LowRankStorage.Float32,
    };

    [Theory]
    [InlineData(20, 40)]
    [InlineData(40, 20)]
    public void The_residual_is_the_tail_of_the_singular_values(int rows, int columns)
    {
        float[] weights = RandomData.Uniform(rows * columns, 1);
        double[] squares = SquaredSingularValues(weights, rows, columns);
        double last = double.PositiveInfinity;
        for (int rank = 1; rank <= 20; rank++)
        {
            double loss = LayerQuantizer.Quantize(weights, rows, columns, null, Options with { Rank = rank }).Loss;
            Assert.True(loss < last);
            Assert.InRange(loss - squares.Skip(rank).Sum(), -1e-5 * squares.Sum(), 1e-5 * squares.Sum());
            last = loss;
        }
    }

    [Fact]
    public void Weighted_by_activations_it_errs_less_in_the_outputs_and_more_in_the_weights()
    {
        const int Rows = 60, Columns = 90;
        using Hessian hessian = RandomData.Hessian(Columns, 1);
        float[] weights = RandomData.Uniform(Rows * Columns, 2);
        QuantizedLayer plain = LayerQuantizer.Quantize(weights, Rows, Columns, hessian, Options);
        QuantizedLayer weighted = LayerQuantizer.Quantize(
            weights, Rows, Columns, hessian, Options with { LowRankWeighting = LowRankWeighting.ActivationWeighted });
        Assert.True(weighted.Loss < plain.Loss);
        Assert.True(LayerQuantizer.Loss(weights, weighted.Weights, weighted.LowRank, null) > LayerQuantizer.Loss(
            weights, plain.Weights, plain.LowRank, null));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Subspace_iteration_comes_close_to_the_exact_decomposition(bool weightedByActivations)
    {
        const int Rows = 200, Columns = 230;
        using Hessian hessian = RandomData.Hessian(Columns, 1);
        float[] weights = RandomData.Uniform(Rows * Columns, 2);
        QuantizedMatrix matrix = LayerQuantizer.Quantize(weights, Rows, Columns, null, Options with { Rank = 0 }).Weights;
        Hessian? weighting = weightedByActivations ? hessian : null;
        using var error = new StreamedError(new ErrorSource(weights, matrix, null), weighting, 2, default);
        var solver = new LowRankSolver(error, weighting is not null);
        foreach (int rank in new[] { 1, 8, 32 })
        {
            double exact = Loss(solver.Fit(rank, LowRankStorage.Float32));
            double iterated = Loss(solver.Fit(rank, LowRankStorage.Float32, exactLimit: 0));
            double before = error.Loss(weightedByActivations);
            Assert.InRange(iterated, exact * 0.99999, exact + (0.03 * (before - exact)));
        }

        double Loss(LowRankFactors factors) => LayerQuantizer.Loss(weights, matrix, factors, weighting);
    }

    [Fact]
    public void Float16_factors_lose_little()
    {
        const int Rows = 64, Columns = 96;
        using Hessian hessian = RandomData.Hessian(Columns, 1);
        float[] weights = RandomData.Uniform(Rows * Columns, 2);
        double exact = LayerQuantizer.Quantize(weights, Rows, Columns, hessian, Options).Loss;
        QuantizedLayer layer = LayerQuantizer.Quantize(
            weights, Rows, Columns, hessian, Options with { LowRankStorage = LowRankStorage.Float16 });
        Assert.InRange(layer.Loss, 0, exact * 1.001);
        Assert.All(layer.LowRank!.Down.Concat(layer.LowRank.Up), value => Assert.Equal((float)(Half)value, value));
    }

    [Fact]
    public void Refits_lower_the_loss_further()
    {
        const int Rows = 96, Columns = 128;
        using Hessian hessian = RandomData.Hessian(Columns, 1);
        float[] weights = RandomData.Uniform(Rows * Columns, 2);
        float[] down = RandomData.Uniform(Columns, 3);
        float[] up = RandomData.Uniform(Rows, 4);
        for (int i = 0; i < weights.Length; i++)
        {
            weights[i] += 4 * up[i / Columns] * down[i % Columns];
        }

        QuantizationOptions options = Options with
        {
            Method = QuantizationMethod.Gptq,
            LowRankWeighting = LowRankWeighting.ActivationWeighted,
        };
        double once = LayerQuantizer.Quantize(weights, Rows, Columns, hessian, options).Loss;
        double refitted = LayerQuantizer.Quantize(weights, Rows, Columns, hessian, options with { LowRankRefits = 3 }).Loss;
        Assert.InRange(refitted, 0, once * 0.99);
    }

    [Theory]
    [InlineData(LowRankWeighting.Plain)]
    [InlineData(LowRankWeighting.ActivationWeighted)]
    internal void The_reported_loss_after_gptq_is_that_of_the_result(LowRankWeighting weighting)
    {
        const int Rows = 70, Columns = 99;
        using Hessian hessian = RandomData.Hessian(Columns, 1);
        float[] weights = RandomData.Uniform(Rows * Columns, 2);
        QuantizedLayer layer = LayerQuantizer.Quantize(
            weights, Rows, Columns, hessian, Options with { Method = QuantizationMethod.Gptq, LowRankWeighting = weighting });
        Assert.InRange(layer.Loss / LayerQuantizer.Loss(weights, layer.Weights, layer.LowRank, hessian), 0.9999, 1.0001);
    }

    [Fact]
    public void A_rank_above_the_matrix_leaves_nothing()
    {
        float[] weights = RandomData.Uniform(6 * 10, 1);
        QuantizedLayer layer = LayerQuantizer.Quantize(weights, 6, 10, null, Options with { Rank = 50 });
        Assert.Equal(6, layer.LowRank!.Rank);
        Assert.InRange(layer.Loss, 0, 1e-8);
    }

    private static double[] SquaredSingularValues(float[] weights, int rows, int columns)
    {
        float[] values = new float[weights.Length];
        LayerQuantizer.Quantize(weights, rows, columns, null, Options with { Rank = 0 }).Weights.Dequantize(values);
        double[] gram = new double[rows * rows];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < rows; j++)
            {
                for (int k = 0; k < columns; k++)
                {
                    gram[(i * rows) + j] += ((double)weights[(i * columns) + k] - values[(i * columns) + k])
                        * ((double)weights[(j * columns) + k] - values[(j * columns) + k]);
                }
            }
        }

        SymmetricEigen.Decompose(gram, rows, out double[] squares);
        return squares;
    }
}
