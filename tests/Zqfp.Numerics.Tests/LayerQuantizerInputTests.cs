namespace Zqfp.Numerics.Tests;

public sealed class LayerQuantizerInputTests
{
    private static readonly QuantizationOptions Rtn = new() { Method = QuantizationMethod.Rtn, Rank = 0 };

    [Theory]
    [InlineData(2, 3, 5)]
    [InlineData(0, 3, 0)]
    [InlineData(2, -1, 2)]
    [InlineData(65536, 65536, 0)]
    public void A_wrong_shape_is_a_coded_error(int rows, int columns, int length) =>
        AssertError("ZQFP2001", () => LayerQuantizer.Quantize("layer", new float[length], rows, columns, null, Rtn));

    [Fact]
    public void A_Hessian_of_another_size_is_a_coded_error()
    {
        using Hessian hessian = RandomData.Hessian(4, 1);
        AssertError("ZQFP2001", () => LayerQuantizer.Quantize("layer", new float[10], 2, 5, hessian, Rtn));
        Assert.Equal("ZQFP2001", Assert.Throws<ZqfpException>(() => Hessian.FromDense(new float[5], 2)).Code);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.NegativeInfinity)]
    public void Weights_that_are_not_finite_are_a_coded_error_that_says_where(float value)
    {
        float[] weights = new float[30];
        weights[23] = value;
        ZqfpException error = AssertError("ZQFP2002", () => LayerQuantizer.Quantize("layer", weights, 3, 10, null, Rtn));
        Assert.Contains("row 2, column 3", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_Hessian_that_is_not_finite_is_a_coded_error(float value)
    {
        using Hessian hessian = Hessian.FromDense([1, 0, value, 1], 2);
        AssertError("ZQFP2003", () => LayerQuantizer.Quantize("layer", new float[4], 2, 2, hessian, Rtn));
    }

    [Fact]
    public void A_Hessian_that_cannot_be_factored_is_a_coded_error()
    {
        using Hessian hessian = Hessian.FromDense([1, 9, 9, 1], 2);
        AssertError("ZQFP2004", () => LayerQuantizer.Quantize("layer", new float[4], 2, 2, hessian, new QuantizationOptions()));
    }

    [Fact]
    public void Options_out_of_range_are_coded_errors_that_name_the_option()
    {
        QuantizationOptions[] wrong =
        [
            Rtn with { GroupSize = -2 },
            Rtn with { MaxExponent = 127 },
            Rtn with { Damping = double.NaN },
            Rtn with { BlockSize = 100 },
            Rtn with { Rank = -1 },
            Rtn with { RefineSweeps = -1 },
            Rtn with { LowRankRefits = -1 },
            Rtn with { MaxThreads = -1 },
            Rtn with { Method = QuantizationMethod.Gptq },
            Rtn with { ScaleSearch = ScaleSearch.Diagonal },
            Rtn with { Rank = 1, LowRankWeighting = LowRankWeighting.ActivationWeighted },
            Rtn with { Constraint = (ScaleConstraint)9 },
        ];
        foreach (QuantizationOptions options in wrong)
        {
            ZqfpException error = AssertError("ZQFP2005", () => LayerQuantizer.Quantize("layer", new float[4], 2, 2, null, options));
            Assert.Matches(
                "(GroupSize|MaxExponent|Damping|BlockSize|"
                + "Rank|Sweeps|Refits|MaxThreads|Method|ScaleSearch|Weighting|Constraint) is ",
                error.Message);
        }
    }

    [Fact]
    public void Cancelling_stops_the_work()
    {
        using Hessian hessian = RandomData.Hessian(64, 1);
        using var source = new CancellationTokenSource();
        source.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() =>
            LayerQuantizer.Quantize(new float[64 * 64], 64, 64, hessian, new QuantizationOptions(), source.Token));
    }

    [Fact]
    public void Four_bit_codes_are_contiguous_over_rows_of_odd_length()
    {
        float[] weights = [1, 2, 3, 4, 6, 0.5f, 1.5f, 0, -1, 6, -6, 2, 1, 1, 6];
        QuantizedMatrix matrix = LayerQuantizer.Quantize(weights, 3, 5, null, Rtn with { GroupSize = 0 }).Weights;
        byte[] codes = new byte[15];
        NibblePacking.Unpack(matrix.Codes, codes);
        Assert.Equal(8, matrix.Codes.Length);
        Assert.Equal([2, 4, 5, 6, 7, 1, 3, 0, 10, 7, 15, 4, 2, 2, 7], codes.Select(code => (int)code));
        float[] values = new float[15];
        matrix.Dequantize(values);
        Assert.Equal(weights, values);
    }

    private static ZqfpException AssertError(string code, Func<object> action)
    {
        var error = Assert.Throws<ZqfpException>(action);
        Assert.Equal(code, error.Code);
        Assert.StartsWith("Layer 'layer': ", error.Message, StringComparison.Ordinal);
        return error;
    }
}
