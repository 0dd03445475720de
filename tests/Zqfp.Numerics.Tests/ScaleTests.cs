namespace Zqfp.Numerics.Tests;

public sealed class ScaleTests
{
    private static readonly QuantizationOptions Rtn = new() { Method = QuantizationMethod.Rtn, Rank = 0 };

    [Theory]
    [InlineData(8, 1, PowerRounding.Nearest, 3)]
    [InlineData(8, 1, PowerRounding.Floor, 3)]
    [InlineData(8, 1, PowerRounding.Ceil, 3)]
    [InlineData(1.4142, 1, PowerRounding.Nearest, 0)]
    [InlineData(1.4143, 1, PowerRounding.Nearest, 1)]
    [InlineData(9, 1, PowerRounding.Ceil, 4)]
    [InlineData(15, 1, PowerRounding.Floor, 3)]
    [InlineData(1, 8, PowerRounding.Floor, -3)]
    [InlineData(1, 9, PowerRounding.Floor, -4)]
    [InlineData(1, 9, PowerRounding.Ceil, -3)]
    internal void Logarithms_round_exactly(double numerator, double denominator, PowerRounding rounding, int expected) =>
        Assert.Equal(expected, ScaleCalculator.RoundLog2(numerator, denominator, rounding));

    [Theory]
    [InlineData(PowerRounding.Nearest, ScaleSearch.None)]
    [InlineData(PowerRounding.Floor, ScaleSearch.None)]
    [InlineData(PowerRounding.Ceil, ScaleSearch.None)]
    [InlineData(PowerRounding.Nearest, ScaleSearch.Squared)]
    internal void M2_scales_of_a_row_differ_by_powers_of_two_and_the_anchor_is_the_largest(PowerRounding rounding, ScaleSearch search)
    {
        float[] weights = GroupsOfDifferentSize(6, 172, 32);
        QuantizedMatrix matrix = Quantize(weights, 6, 172, Rtn with { GroupSize = 32, Rounding = rounding, ScaleSearch = search });
        Assert.Equal(6, matrix.Groups);
        Assert.Null(matrix.GroupScales);
        for (int row = 0; row < 6; row++)
        {
            Assert.Equal(0, Enumerable.Range(0, 6).Min(g => matrix.Exponents![(row * 6) + g]));
            for (int g = 0; g < 6; g++)
            {
                Assert.Equal(matrix.RowScales![row] * MathF.ScaleB(1, -matrix.Exponents![(row * 6) + g]), matrix.Scale(row, g));
            }
        }
    }

    [Theory]
    [InlineData(PowerRounding.Nearest)]
    [InlineData(PowerRounding.Floor)]
    [InlineData(PowerRounding.Ceil)]
    internal void M1_scales_are_powers_of_two(PowerRounding rounding)
    {
        QuantizedMatrix matrix = Quantize(
            GroupsOfDifferentSize(4, 64, 16), 4, 64, Rtn with { GroupSize = 16, Constraint = ScaleConstraint.M1, Rounding = rounding });
        Assert.All(matrix.GroupScales!, scale => Assert.True(MathF.ILogB(scale) == Math.Log2(scale)));
    }

    [Fact]
    public void M2_with_floor_clips_nothing_and_with_ceil_does()
    {
        float[] weights = GroupsOfDifferentSize(16, 256, 32);
        Assert.Equal(0, Clipped(PowerRounding.Floor));
        Assert.NotEqual(0, Clipped(PowerRounding.Ceil));

        int Clipped(PowerRounding rounding)
        {
            QuantizedMatrix matrix = Quantize(weights, 16, 256, Rtn with { GroupSize = 32, Rounding = rounding });
            return Enumerable.Range(0, weights.Length)
                .Count(i => MathF.Abs(weights[i]) > 6.0001f * matrix.Scale(i / 256, i % 256 / 32));
        }
    }

    [Fact]
    public void A_group_scale_is_the_largest_magnitude_over_the_largest_code()
    {
        QuantizedMatrix matrix = Quantize([1, -3, 0.5f, 12], 1, 4, Rtn with { GroupSize = 2, Constraint = ScaleConstraint.None });
        Assert.Equal([0.5f, 2f], matrix.GroupScales!);
        float[] values = new float[4];
        matrix.Dequantize(values);
        Assert.Equal([1f, -3f, 0f, 12f], values);
    }

    [Theory]
    [InlineData(288, 256, 2)]
    [InlineData(172, 64, 3)]
    [InlineData(172, 256, 1)]
    [InlineData(172, 0, 1)]
    [InlineData(172, -1, 1)]
    public void Ragged_last_groups_count(int columns, int groupSize, int groups)
    {
        QuantizedMatrix matrix = Quantize(RandomData.Uniform(3 * columns, 1), 3, columns,
            Rtn with { GroupSize = groupSize, Constraint = ScaleConstraint.None });
        Assert.Equal(groups, matrix.Groups);
        Assert.Equal(groupSize == -1, matrix.GroupScales!.Distinct().Count() == 1);
    }

    [Fact]
    public void Exponents_are_clamped_and_reported()
    {
        float[] weights = [6, 6, 6e-9f, 6e-9f, 6, 6, 6, 6];
        QuantizedLayer layer = LayerQuantizer.Quantize("l1", weights, 2, 4, null, Rtn with { GroupSize = 2 });
        Assert.Equal([0, 14, 0, 0], layer.Weights.Exponents!);
        QuantizationWarning warning = Assert.Single(layer.Warnings);
        Assert.Equal("ZQFP2102", warning.Code);
        Assert.Contains("'l1': 1 of 4", warning.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ScaleConstraint.None)]
    [InlineData(ScaleConstraint.M1)]
    [InlineData(ScaleConstraint.M2)]
    internal void Groups_of_zeros_stay_zero_without_a_warning(ScaleConstraint constraint)
    {
        float[] weights = new float[4 * 8];
        weights[0] = 3;
        foreach (ScaleSearch search in new[] { ScaleSearch.None, ScaleSearch.Squared })
        {
            QuantizedLayer layer = LayerQuantizer.Quantize(
                weights, 4, 8, null, Rtn with { GroupSize = 4, Constraint = constraint, ScaleSearch = search });
            float[] values = new float[32];
            layer.Weights.Dequantize(values);
            Assert.All(values.Skip(1), value => Assert.Equal(0, value));
            Assert.Empty(layer.Warnings);
        }
    }

    [Fact]
    public void Scales_stored_as_float16_are_float16_values_before_weights_are_rounded()
    {
        float[] weights = RandomData.Uniform(4 * 64, 5);
        QuantizedMatrix matrix = Quantize(weights, 4, 64, Rtn with { GroupSize = 64, ScaleStorage = ScaleStorage.Float16 });
        Assert.All(matrix.RowScales!, scale => Assert.Equal(scale, (float)(Half)scale));
        float[] values = new float[weights.Length];
        matrix.Dequantize(values);
        for (int i = 0; i < weights.Length; i++)
        {
            Assert.Equal(NumberFormat.E2M1.Round(weights[i] / matrix.RowScales![i / 64]) * matrix.RowScales[i / 64], values[i]);
        }
    }

    [Fact]
    public void A_scale_outside_float16_is_a_coded_error()
    {
        var error = Assert.Throws<ZqfpException>(
            () => LayerQuantizer.Quantize("big", new float[] { 1e9f, 0 }, 1, 2, null, Rtn with { ScaleStorage = ScaleStorage.Float16 }));
        Assert.Equal("ZQFP2006", error.Code);
        Assert.Contains("'big'", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ScaleConstraint.None, 64)]
    [InlineData(ScaleConstraint.M1, 64)]
    [InlineData(ScaleConstraint.M2, 64)]
    [InlineData(ScaleConstraint.None, -1)]
    internal void Searched_scales_err_no_more_than_the_plain_ones(ScaleConstraint constraint, int groupSize)
    {
        float[] weights = GroupsOfDifferentSize(32, 256, 64);
        QuantizationOptions options = Rtn with { GroupSize = groupSize, Constraint = constraint };
        double plain = LayerQuantizer.Quantize(weights, 32, 256, null, options).Loss;
        double searched = LayerQuantizer.Quantize(weights, 32, 256, null, options with { ScaleSearch = ScaleSearch.Squared }).Loss;
        Assert.InRange(searched, 0, plain * 0.999);
    }

    private static QuantizedMatrix Quantize(float[] weights, int rows, int columns, QuantizationOptions options) =>
        LayerQuantizer.Quantize(weights, rows, columns, null, options).Weights;

    private static float[] GroupsOfDifferentSize(int rows, int columns, int group)
    {
        float[] weights = RandomData.Uniform(rows * columns, 3);
        for (int i = 0; i < weights.Length; i++)
        {
            weights[i] *= MathF.Pow(2, -1.3f * (((i % columns / group) + (i / columns)) % 5));
        }

        return weights;
    }
}
