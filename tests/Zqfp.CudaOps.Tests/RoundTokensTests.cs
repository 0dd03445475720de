using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps.Tests;

public sealed class RoundTokensTests
{
    [Theory]
    [InlineData("fp8_e4m3", 448)]
    [InlineData("fp8_e5m2", 57344)]
    [InlineData("int8", 127)]
    public void Rounds_each_token_to_the_nearest_multiple_of_its_scale(string format, float largest)
    {
        double[] values = Values(format);
        var random = new Random(3);
        float[] x = [.. Enumerable.Range(0, 5 * 77).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-6, 3))))];
        x[10] = 0;
        float[] y = Run<float>(format, x, 77);
        for (int i = 0; i < x.Length; i++)
        {
            int start = i / 77 * 77;
            float scale = x[start..(start + 77)].Max(Math.Abs) / largest;
            float quotient = x[i] / scale;
            double nearest = values.Min(value => Math.Abs(value - Math.Abs(quotient)));
            Assert.Equal(nearest, Math.Abs(Math.Abs(y[i] / (double)scale) - Math.Abs(quotient)), 1e-6 * Math.Max(Math.Abs(quotient), 1e-6));
            Assert.Contains(values, value => (float)value * scale == Math.Abs(y[i]));
        }
    }

    [Fact]
    public void Half_way_between_two_values_the_even_one_is_taken()
    {
        foreach ((string name,
            TokenFormat format) in new[] { ("fp8_e4m3", TokenFormat.E4M3), ("fp8_e5m2", TokenFormat.E5M2), ("int8", TokenFormat.Int8) })
        {
            double[] values = Values(name);
            for (int i = 0; i + 1 < values.Length; i++)
            {
                double expected = values[i % 2 == 0 ? i : i + 1];
                Assert.Equal(expected, TokenRounder.Nearest(format, (float)((values[i] + values[i + 1]) / 2)));
                Assert.Equal(-expected, TokenRounder.Nearest(format, (float)((values[i] + values[i + 1]) / -2)));
            }
            Assert.Equal(values[^1], TokenRounder.Nearest(format, float.PositiveInfinity));
            Assert.True(float.IsNaN(TokenRounder.Nearest(format, float.NaN)));
        }
    }

    [Fact]
    public void Float16_in_is_float16_out_and_NaN_spoils_its_token_only()
    {
        Half[] x = [.. Enumerable.Range(0, 40).Select(i => (Half)i)];
        x[25] = Half.NaN;
        Half[] y = Run<Half>("int8", x, 20);
        Assert.Equal(Run<float>("int8", [.. x.Select(value => (float)value)], 20).Select(value => (Half)value), y);
        Assert.All(y[20..], value => Assert.True(Half.IsNaN(value)));
        Assert.DoesNotContain(y[..20], Half.IsNaN);
    }

    [Fact]
    public void No_tokens_give_no_tokens() => Assert.Empty(Run<float>("int8", [], 20));

    [Fact]
    public void An_unknown_format_is_a_coded_error()
    {
        var error = Assert.Throws<OnnxRuntimeException>(() => Run<float>("fp3", [1], 1));
        Assert.Contains("ZQFP4006: Attribute format must be fp8_e4m3, fp8_e5m2, int8; it is 'fp3'.", error.Message);
    }

    /// <summary>The non-negative values of a format, ascending; those at even places have even mantissas.</summary>
    private static double[] Values(string format) => format switch
    {
        "int8" => [.. Enumerable.Range(0, 128).Select(value => (double)value)],
        "fp8_e4m3" => [.. Enumerable.Range(0, 127).Select(Reference.Fp8)],
        _ => [.. Enumerable.Range(0, 124)
            .Select(code => code < 4 ? code * Math.Pow(2, -16) : (1 + ((code & 3) / 4.0)) * Math.Pow(2, (code >> 2) - 15))],
    };

    private static T[] Run<T>(string format, T[] x, int columns)
        where T : unmanaged
    {
        int type = Onnx.TypeOf<T>();
        byte[] model = Onnx.Model(
            [Onnx.Node("zqfp", OperatorNames.RoundTokens, ["x"], ["y"], Onnx.Attribute("format", format))],
            [Onnx.Value("x", type, "m", columns)],
            [Onnx.Value("y", type, "m", columns)]);
        using var session = new InferenceSession(model, new SessionOptions().AddZqfpOperators());
        using OrtValue input = TestSessions.Tensor(x, [x.Length / columns, columns]);
        using OrtValue output = session.Run(["x"], [input], ["y"])[0];
        return MemoryMarshal.Cast<byte, T>(output.GetTensorMutableRawData()).ToArray();
    }
}
