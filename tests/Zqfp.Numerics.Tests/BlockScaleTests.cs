namespace Zqfp.Numerics.Tests;

/// <summary>Scales of 8 bits that are powers of two, in the blocks of MX (1 x 32) and of DeepSeek (128 x 128).</summary>
public sealed class BlockScaleTests
{
    private const int Rows = 200, Columns = 300;

    private static readonly QuantizationOptions Mx = new()
    {
        Method = QuantizationMethod.Rtn,
        Rank = 0,
        GroupSize = QuantizationOptions.MxGroup,
        Constraint = ScaleConstraint.Ue8M0,
    };

    private static readonly QuantizationOptions Square = Mx with
    {
        Format = NumberFormat.E4M3,
        GroupSize = QuantizationOptions.SquareBlock,
        GroupRows = QuantizationOptions.SquareBlock,
    };

    public static TheoryData<bool, int, int> Kinds => new()
    {
        { false, (int)PowerRounding.Nearest, (int)ScaleSearch.None },
        { false, (int)PowerRounding.Ceil, (int)ScaleSearch.Squared },
        { true, (int)PowerRounding.Nearest, (int)ScaleSearch.None },
        { true, (int)PowerRounding.Floor, (int)ScaleSearch.Squared },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_block_has_one_power_of_two(bool isSquare, int rounding, int search)
    {
        QuantizationOptions options = (isSquare ? Square : Mx) with
        {
            Rounding = (PowerRounding)rounding,
            ScaleSearch = (ScaleSearch)search,
        };
        QuantizedMatrix matrix = LayerQuantizer.Quantize(Weights(1), Rows, Columns, null, options).Weights;
        for (int row = 0; row < Rows; row++)
        {
            int first = row / options.GroupRows * options.GroupRows;
            for (int group = 0; group < matrix.Groups; group++)
            {
                float scale = matrix.Scale(row, group);
                Assert.Equal(scale, MathF.ScaleB(1, MathF.ILogB(scale)));
                Assert.Equal(matrix.Scale(first, group), scale);
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Rounded_up_they_clip_nothing(bool isSquare)
    {
        QuantizationOptions options = (isSquare ? Square : Mx) with { Rounding = PowerRounding.Ceil };
        float[] weights = Weights(2);
        QuantizedMatrix matrix = LayerQuantizer.Quantize(weights, Rows, Columns, null, options).Weights;
        for (int i = 0; i < weights.Length; i++)
        {
            float scale = matrix.Scale(i / Columns, i % Columns / options.GroupSize);
            Assert.InRange(MathF.Abs(weights[i]), 0, scale * options.Format.MaxValue);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_is_in_the_format_already_stays_as_it_is(bool isSquare)
    {
        QuantizationOptions options = (isSquare ? Square : Mx) with { ScaleSearch = ScaleSearch.Squared, Rounding = PowerRounding.Ceil };
        for (int seed = 0; seed < 20; seed++)
        {
            var random = new Random(seed);
            float[] weights = new float[Rows * Columns];
            var scales = new Dictionary<(int, int), float>();
            for (int i = 0; i < weights.Length; i++)
            {
                (int, int) block = (i / Columns / options.GroupRows, i % Columns / options.GroupSize);
                if (!scales.TryGetValue(block, out float scale))
                {
                    scales.Add(block, scale = MathF.ScaleB(1, random.Next(-9, -2)));
                }

                int code = random.Next(1 << options.Format.Bits);
                float value = options.Format.Decode((byte)code);
                weights[i] = float.IsFinite(value) ? value * scale : 0;
            }

            QuantizedMatrix matrix = LayerQuantizer.Quantize(weights, Rows, Columns, null, options).Weights;
            float[] again = new float[weights.Length];
            matrix.Dequantize(again);
            Assert.Equal(weights, again);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void GPTQ_loses_less_than_rounding_on_any_number_of_threads(bool isSquare)
    {
        QuantizationOptions options = (isSquare ? Square : Mx) with { ScaleSearch = ScaleSearch.Squared, Format = NumberFormat.E2M1 };
        float[] weights = Weights(3);
        Hessian hessian = RandomData.Hessian(Columns, seed: 4);
        double rounded = LayerQuantizer.Quantize(weights, Rows, Columns, hessian, options).Loss;
        QuantizationOptions gptq = options with { Method = QuantizationMethod.Gptq, RefineSweeps = 1, RefitScales = true };
        QuantizedLayer one = LayerQuantizer.Quantize(weights, Rows, Columns, hessian, gptq with { MaxThreads = 1 });
        QuantizedLayer two = LayerQuantizer.Quantize(weights, Rows, Columns, hessian, gptq with { MaxThreads = 3 });
        Assert.True(one.Loss < rounded);
        Assert.Equal(one.Weights.Codes, two.Weights.Codes);
        Assert.Equal(one.Weights.RowScales, two.Weights.RowScales);
        Assert.All(one.Weights.RowScales!, scale => Assert.Equal(scale, MathF.ScaleB(1, MathF.ILogB(scale))));
    }

    [Fact]
    public void Rows_share_scales_with_powers_of_two_alone()
    {
        Assert.Equal("ZQFP2005", Assert.Throws<ZqfpException>(() => LayerQuantizer.Quantize(
            Weights(1), Rows, Columns, null, Square with { Constraint = ScaleConstraint.M2 })).Code);
    }

    /// <summary>Blocks of very different size, one of them of zeros.</summary>
    private static float[] Weights(int seed)
    {
        var random = new Random(seed);
        float[] weights = new float[Rows * Columns];
        for (int i = 0; i < weights.Length; i++)
        {
            int column = i % Columns;
            weights[i] = column is >= 128 and < 256 && i / Columns < 128 ? 0
                : (random.NextSingle() - 0.5f) * MathF.ScaleB(1, -(column / 32 % 5));
        }

        return weights;
    }
}
