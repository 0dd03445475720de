using System.Numerics;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps.Tests;

/// <summary>The attribute <c>rotation</c> of QuantizeTokens and RotateTokens.</summary>
public sealed class RotationTests
{
    [Theory]
    [InlineData(1, 2, 2)]
    [InlineData(3, 12, 4)]
    [InlineData(5, 40, 8)]
    [InlineData(2, 112, 16)]
    [InlineData(4, 288, 32)]
    [InlineData(3, 576, 64)]
    [InlineData(2, 384, 128)]
    [InlineData(2, 512, 256)]
    [InlineData(0, 64, 64)]
    public void RotateTokens_multiplies_each_block_by_the_normalized_Hadamard_matrix(int rows, int columns, int block)
    {
        float[] x = Values(rows * columns, seed: columns);
        float[] y = Rotate<float>(x, columns, block);
        Assert.Equal(x.Length, y.Length);
        for (int i = 0; i < x.Length; i++)
        {
            int start = i / block * block;
            double sum = 0, magnitude = 0;
            for (int j = 0; j < block; j++)
            {
                double term = x[start + j] / Math.Sqrt(block);
                sum += int.IsEvenInteger(BitOperations.PopCount((uint)(j & (i - start)))) ? term : -term;
                magnitude += Math.Abs(term);
            }

            Assert.Equal(sum, y[i], magnitude * (BitOperations.Log2((uint)block) + 2) * Math.Pow(2, -24));
        }
    }

    [Theory]
    [InlineData(12, 4)]
    [InlineData(288, 32)]
    [InlineData(576, 64)]
    [InlineData(384, 128)]
    public void QuantizeTokens_gives_the_bits_of_quantizing_rotated_tokens(int columns, int block)
    {
        float[] x = Values(7 * columns, seed: block);
        x.AsSpan(columns, columns).Clear();
        (float[] codes, float[] scales) = Quantize<float>(x, columns, block);
        (float[] expectedCodes, float[] expectedScales) = Quantize<float>(Rotate<float>(x, columns, block), columns, 0);
        Assert.Equal(expectedCodes, codes);
        Assert.Equal(expectedScales, scales);
        Assert.NotEqual(Quantize<float>(x, columns, 0).Codes, codes);
    }

    [Fact]
    public void Float16_tokens_are_rotated_as_the_floats_they_are()
    {
        Half[] x = [.. Values(3 * 192, seed: 4).Select(value => (Half)value)];
        float[] floats = [.. x.Select(value => (float)value)];
        Assert.Equal(Rotate<float>(floats, 192, 64), Rotate<Half>(x, 192, 64));
        Assert.Equal(floats, Rotate<Half>(x, 192, 0));
        (float[] codes, float[] scales) = Quantize<Half>(x, 192, 64);
        (float[] floatCodes, float[] floatScales) = Quantize<float>(floats, 192, 64);
        Assert.Equal(floatCodes, codes);
        Assert.Equal(floatScales, scales);
    }

    [Fact]
    public void Products_of_rotated_tokens_and_rotated_weights_are_those_of_neither()
    {
        float[] x = Values(128, seed: 8), w = Values(128, seed: 9);
        double plain = x.Zip(w, (a, b) => (double)a * b).Sum();
        double rotated = Rotate<float>(x, 128, 64).Zip(Rotate<float>(w, 128, 64), (a, b) => (double)a * b).Sum();
        Assert.Equal(plain, rotated, x.Zip(w, (a, b) => Math.Abs((double)a * b)).Sum() * 1e-6);
    }

    [Fact]
    public void NaN_stays_in_its_token()
    {
        float[] x = Values(3 * 128, seed: 2);
        x[130] = float.NaN;
        (_, float[] scales) = Quantize<float>(x, 128, 64);
        Assert.Equal([false, true, false], scales.Select(float.IsNaN));
    }

    [Fact]
    public void Zero_or_no_attribute_leaves_tokens_as_they_are()
    {
        float[] x = Values(2 * 45, seed: 3);
        Assert.Equal(x, Rotate<float>(x, 45, 0));
        Assert.Equal(Quantize<float>(x, 45, null).Codes, Quantize<float>(x, 45, 0).Codes);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(-64)]
    [InlineData(512)]
    [InlineData((1L << 32) + 64)]
    public void A_block_that_is_no_power_of_two_from_2_to_256_is_a_coded_error(long block)
    {
        var error = Assert.Throws<OnnxRuntimeException>(() => Quantize<float>(new float[64], 64, block));
        string expected = $"ZQFP4006: Attribute rotation must be 0 or a power of two from 2 to 256; it is {block}.";
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Throws<OnnxRuntimeException>(() => Rotate<float>(new float[64], 64, block));
    }

    [Fact]
    public void A_block_that_does_not_divide_the_token_is_a_coded_error()
    {
        var error = Assert.Throws<OnnxRuntimeException>(() => Quantize<float>(new float[96], 96, 64));
        const string Expected = "ZQFP4006: Attribute rotation must divide the last dimension of X, which is 96; it is 64.";
        Assert.Contains(Expected, error.Message, StringComparison.Ordinal);
        Assert.Throws<OnnxRuntimeException>(() => Rotate<float>(new float[96], 96, 64));
    }

    private static float[] Rotate<T>(T[] x, int columns, long block)
        where T : unmanaged
    {
        byte[] model = Onnx.Model(
            [Onnx.Node("zqfp", OperatorNames.RotateTokens, ["x"], ["y"], Onnx.Attribute("rotation", block))],
            [Onnx.Value("x", Onnx.TypeOf<T>(), "m", columns)],
            [Onnx.Value("y", Onnx.Float, "m", columns)]);
        return Run(model, x, columns, "y")[0];
    }

    /// <summary>The codes as the values they stand for, since the package gives no FP8 outputs, and the scales.</summary>
    private static (float[] Codes, float[] Scales) Quantize<T>(T[] x, int columns, long? block)
        where T : unmanaged
    {
        byte[][] attributes = block is { } value ? [Onnx.Attribute("rotation", value)] : [];
        byte[] model = Onnx.Model(
            [
                Onnx.Node("zqfp", OperatorNames.QuantizeTokens, ["x"], ["xq", "sx"], attributes),
                Onnx.Node("", "Cast", ["xq"], ["xf"], Onnx.Attribute("to", Onnx.Float)),
            ],
            [Onnx.Value("x", Onnx.TypeOf<T>(), "m", columns)],
            [Onnx.Value("xf", Onnx.Float, "m", columns), Onnx.Value("sx", Onnx.Float, "m", 1)]);
        float[][] outputs = Run(model, x, columns, "xf", "sx");
        return (outputs[0], outputs[1]);
    }

    private static float[][] Run<T>(byte[] model, T[] x, int columns, params string[] outputs)
        where T : unmanaged
    {
        using var session = new InferenceSession(model, new SessionOptions().AddZqfpOperators());
        using OrtValue input = TestSessions.Tensor(x, [x.Length / columns, columns]);
        return [.. session.Run(["x"], [input], outputs).Select(output => output.GetTensorDataAsSpan<float>().ToArray())];
    }

    private static float[] Values(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-3, 3))))];
    }
}
