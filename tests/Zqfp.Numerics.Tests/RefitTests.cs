namespace Zqfp.Numerics.Tests;

public sealed class RefitTests
{
    private const int Rows = 70;
    private const int Columns = 200;

    private static readonly float[] Weights = RandomData.Uniform(Rows * Columns, 2);
    private static readonly QuantizationOptions Options = new() { GroupSize = 64, ActOrder = true, RefineSweeps = 2, Rank = 0 };

    [Theory]
    [InlineData(ScaleStorage.Float32)]
    [InlineData(ScaleStorage.Float16)]
    internal void Scales_fitted_to_the_codes_lower_the_loss_and_fit_their_type(ScaleStorage storage)
    {
        using Hessian hessian = RandomData.Hessian(Columns, 1);
        QuantizationOptions options = Options with { ScaleStorage = storage };
        QuantizedLayer plain = LayerQuantizer.Quantize(Weights, Rows, Columns, hessian, options);
        QuantizedLayer fitted = LayerQuantizer.Quantize(Weights, Rows, Columns, hessian, options with { RefitScales = true });
        Assert.True(fitted.Loss < plain.Loss, $"{fitted.Loss} of {plain.Loss}");
        Assert.Equal(LayerQuantizer.Loss(Weights, fitted.Weights, null, hessian), fitted.Loss, fitted.Loss * 1e-3);
        Assert.NotEqual(plain.Weights.RowScales, fitted.Weights.RowScales);
        if (storage == ScaleStorage.Float16)
        {
            Assert.All(fitted.Weights.RowScales!, scale => Assert.Equal((float)(Half)scale, scale));
        }
    }

    [Fact]
    public void Errors_that_the_branch_takes_away_cost_nothing()
    {
        using Hessian hessian = RandomData.Hessian(Columns, 1);
        var down = new LowRankFactors(3, RandomData.Uniform(3 * Columns, 4), []);
        using Hessian rest = BranchFreeHessian.Of(hessian, down, new Workers(2, default));
        double Cost(Hessian h, ReadOnlySpan<float> error)
        {
            double cost = 0;
            for (int i = 0; i < Columns; i++)
            {
                cost += error[i] * VectorMath.Dot(h.Row(i), error);
            }

            return cost;
        }

        float[] error = RandomData.Uniform(Columns, 5);
        float[] moved =
        [
            .. error.Select((value, k) => value + (2 * down.Down[k]) - down.Down[Columns + k] + (0.5f * down.Down[(2 * Columns) + k]))
        ];
        Assert.Equal(Cost(rest, error), Cost(rest, moved), Cost(hessian, error) * 1e-4);
        Assert.InRange(Cost(rest, error), 0, Cost(hessian, error));
        Assert.InRange(Cost(rest, down.Down.AsSpan(0, Columns)) / Cost(hessian, down.Down.AsSpan(0, Columns)), -1e-5, 1e-5);
    }

    [Fact]
    public void A_refit_that_spares_the_branch_loses_less()
    {
        using Hessian hessian = RandomData.Hessian(Columns, 1);
        QuantizationOptions options = Options with
        {
            Rank = 8,
            LowRankWeighting = LowRankWeighting.ActivationWeighted,
            LowRankRefits = 1,
        };
        double plain = LayerQuantizer.Quantize(Weights, Rows, Columns, hessian, options).Loss;
        double spared = LayerQuantizer.Quantize(Weights, Rows, Columns, hessian, options with { SparesBranch = true }).Loss;
        Assert.True(spared < plain, $"{spared} of {plain}");
    }

    [Fact]
    public void The_number_of_threads_changes_no_bit()
    {
        using Hessian hessian = RandomData.Hessian(Columns, 1);
        QuantizationOptions options = Options with { Rank = 8, LowRankRefits = 1, SparesBranch = true, RefitScales = true };
        QuantizedLayer one = LayerQuantizer.Quantize(Weights, Rows, Columns, hessian, options with { MaxThreads = 1 });
        QuantizedLayer many = LayerQuantizer.Quantize(Weights, Rows, Columns, hessian, options with { MaxThreads = 8 });
        Assert.Equal(one.Weights.Codes, many.Weights.Codes);
        Assert.Equal(one.Weights.RowScales, many.Weights.RowScales);
        Assert.Equal(one.LowRank!.Up, many.LowRank!.Up);
    }

    [Theory]
    [InlineData(8)]
    [InlineData(64)]
    public void H_rotated_is_that_of_rotated_tokens(int block)
    {
        const int Size = 192;
        float[] tokens = RandomData.Tokens(300, Size, 1);
        using Hessian plain = Gram(tokens, Size);
        BlockHadamard.Apply(tokens, block);
        using Hessian expected = Gram(tokens, Size);
        using Hessian rotated = plain.Rotate(block, new Workers(2, default));
        for (int i = 0; i < Size; i++)
        {
            for (int j = 0; j < Size; j++)
            {
                Assert.Equal(expected.Row(i)[j], rotated.Row(i)[j], 1e-4f);
            }
        }
    }

    [Fact]
    public void Sums_stop_when_cancelled()
    {
        using var stop = new CancellationTokenSource();
        using var gram = new GramAccumulator(Columns, Workers.Of(2, stop.Token));
        stop.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => gram.Add(RandomData.Tokens(TokenTiles.Block, Columns, 1)));
    }

    private static Hessian Gram(float[] tokens, int columns)
    {
        using var gram = new GramAccumulator(columns);
        gram.Add(tokens);
        return gram.ToHessian();
    }
}
