namespace Zqfp.Numerics.Tests;

/// <summary>Layers with the same inputs that are quantized as one matrix.</summary>
public sealed class JoinedLayersTests
{
    private static readonly int[] Rows = [3, 11, 6];

    /// <summary>With an odd number of columns matrices begin in the middle of a byte of 4-bit codes.</summary>
    [Theory]
    [InlineData(21, 8, nameof(NumberFormat.E2M1))]
    [InlineData(32, 0, nameof(NumberFormat.E2M1))]
    [InlineData(21, 8, nameof(NumberFormat.E4M3))]
    public void Without_a_low_rank_branch_each_is_what_it_would_be_alone(int columns, int groupSize, string format)
    {
        QuantizationOptions options = new()
        {
            Format = format == nameof(NumberFormat.E4M3) ? NumberFormat.E4M3 : NumberFormat.E2M1,
            GroupSize = groupSize,
            ActOrder = true,
            RefineSweeps = 2,
            RefitScales = true,
            Rank = 0,
        };
        float[] weights = RandomData.Uniform(Rows.Sum() * columns, 2);
        using Hessian hessian = RandomData.Hessian(columns, 1);
        QuantizedLayer all = LayerQuantizer.Quantize(weights, Rows.Sum(), columns, hessian, options);
        QuantizedLayer[] parts = all.Split(Rows, weights, hessian, 1, default);
        for (int i = 0, first = 0; i < Rows.Length; first += Rows[i++])
        {
            float[] own = weights[(first * columns)..((first + Rows[i]) * columns)];
            QuantizedLayer alone = LayerQuantizer.Quantize(own, Rows[i], columns, hessian, options);
            Assert.Equal(alone.Weights.Codes, parts[i].Weights.Codes);
            Assert.Equal(alone.Weights.RowScales, parts[i].Weights.RowScales);
            Assert.Equal(alone.Weights.Exponents, parts[i].Weights.Exponents);
            Assert.Equal(alone.Loss, parts[i].Loss, alone.Loss * 1e-3);
            Assert.Null(parts[i].LowRank);
        }
    }

    [Fact]
    public void They_have_one_first_factor_and_errors_that_add_up()
    {
        const int Columns = 24;
        QuantizationOptions options = new() { Rank = 4, LowRankRefits = 1, LowRankWeighting = LowRankWeighting.ActivationWeighted };
        float[] weights = RandomData.Uniform(Rows.Sum() * Columns, 2);
        using Hessian hessian = RandomData.Hessian(Columns, 1);
        QuantizedLayer all = LayerQuantizer.Quantize(weights, Rows.Sum(), Columns, hessian, options);
        QuantizedLayer[] parts = all.Split(Rows, weights, hessian, 1, default);
        Assert.All(parts, part => Assert.Same(all.LowRank!.Down, part.LowRank!.Down));
        Assert.Equal(all.LowRank!.Up, parts.SelectMany(part => part.LowRank!.Up));
        Assert.Equal(all.Loss, parts.Sum(part => part.Loss), all.Loss * 1e-3);
    }
}
