using System.Runtime.Intrinsics;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps.Tests;

public sealed class QuantizeTokensTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 7)]
    [InlineData(5, 64)]
    [InlineData(2, 301)]
    [InlineData(0, 16)]
    public void Maps_each_tokens_largest_magnitude_to_448_and_rounds_the_rest(int rows, int columns)
    {
        var random = new Random(rows + columns);
        float[] x =
        [
            .. Enumerable.Range(0, rows * columns).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-4, 4))))
        ];
        (byte[] codes, float[] scales) = Run<float>(x, rows, columns);
        for (int row = 0; row < rows; row++)
        {
            float scale = x[(row * columns)..((row + 1) * columns)].Max(Math.Abs) / 448;
            Assert.Equal(scale, scales[row]);
            for (int i = row * columns; i < (row + 1) * columns; i++)
            {
                Assert.Equal(Reference.NearestFp8(x[i] / scale), codes[i]);
            }
        }
    }

    [Fact]
    public void Float16_tokens_are_quantized_as_the_floats_they_are()
    {
        var random = new Random(1);
        Half[] x = [.. Enumerable.Range(0, 2 * 45).Select(_ => (Half)((random.NextDouble() - 0.5) * 100))];
        (byte[] codes, float[] scales) = Run<Half>(x, 2, 45);
        (byte[] floatCodes, float[] floatScales) = Run<float>([.. x.Select(value => (float)value)], 2, 45);
        Assert.Equal(floatCodes, codes);
        Assert.Equal(floatScales, scales);
    }

    [Fact]
    public void A_token_of_zeros_has_scale_one_and_so_has_one_too_small_to_scale()
    {
        (byte[] codes, float[] scales) = Run<float>([0, 0, -0f, 0, float.Epsilon, 0], 3, 2);
        Assert.Equal([1, 1, 1], scales);
        Assert.Equal([0, 0, 128, 0, 0, 0], codes);
    }

    [Fact]
    public void NaN_stays_NaN_in_its_token_only()
    {
        float[] x = [.. Enumerable.Range(0, 60).Select(i => (float)i)];
        x[33] = float.NaN;
        (byte[] codes, float[] scales) = Run<float>(x, 3, 20);
        Assert.Equal([false, true, false], scales.Select(float.IsNaN));
        Assert.All(codes[20..40], code => Assert.Equal(127, code & 127));
        Assert.DoesNotContain(codes[..20].Concat(codes[40..]), code => (code & 127) == 127);
    }

    /// <summary>
    /// The vectors multiply by a reciprocal and correct; the definition divides. They must agree where a last bit decides.
    /// </summary>
    [Fact]
    public unsafe void Codes_are_those_of_a_division_around_every_boundary_and_for_every_size_of_scale()
    {
        var random = new Random(17);
        float[] row = new float[(126 * 7) + 1];
        byte[] codes = new byte[row.Length];
        for (int round = 0; round < 2000; round++)
        {
            float largest = (float)((1 + random.NextDouble()) * Math.Pow(2, random.Next(-149, 127)));
            float expected = largest / 448 is var quotient && quotient == 0 ? 1 : quotient;
            row[^1] = largest;
            for (int code = 0; code < 126; code++)
            {
                float boundary = (float)((Reference.Fp8(code) + Reference.Fp8(code + 1)) / 2 * expected);
                for (int i = 0; i < 7; i++)
                {
                    float value = BitConverter.Int32BitsToSingle(Math.Max(0, BitConverter.SingleToInt32Bits(boundary) + i - 3));
                    row[(code * 7) + i] = random.Next(2) == 0 ? MathF.Min(value, largest) : -MathF.Min(value, largest);
                }
            }

            float scale;
            fixed (float* values = row)
            fixed (byte* target = codes)
            {
                scale = TokenQuantizer.Quantize(values, target, row.Length);
            }

            Assert.Equal(expected, scale);
            for (int i = 0; i < row.Length; i++)
            {
                if (E4M3.Encode(row[i] / scale) != codes[i])
                {
                    Assert.Fail($"{row[i]:R} / {scale:R} gives {codes[i]}.");
                }
            }
        }
    }

    [Fact]
    public void Encoding_finds_the_nearest_code_for_every_value_and_midpoint()
    {
        for (int code = 0; code < 126; code++)
        {
            double low = Reference.Fp8(code), high = Reference.Fp8(code + 1);
            float middle = (float)((low + high) / 2);
            foreach (float value in new[] { (float)low, MathF.BitDecrement(middle), middle, MathF.BitIncrement(middle) })
            {
                Assert.Equal(Reference.NearestFp8(value), E4M3.Encode(value));
                Assert.Equal(Reference.NearestFp8(-value), E4M3.Encode(-value));
            }
        }
        Assert.Equal(0x7E, E4M3.Encode(float.PositiveInfinity));
        Assert.Equal(0xFE, E4M3.Encode(-1e30f));
        Assert.Equal(0x7F, E4M3.Encode(float.NaN) & 0x7F);
    }

    [Fact]
    public void Vectors_encode_as_scalars_do_over_the_whole_range_of_floats()
    {
        // A million floats, evenly spread over all bit patterns.
        for (long bits = 0; bits < 1L << 32; bits += (512 * 64) + 7)
        {
            float[] values = [.. Enumerable.Range(0, 8).Select(i => BitConverter.Int32BitsToSingle((int)(bits + (i * 4096))))];
            Vector256<int> codes = E4M3.Encode(Vector256.Create<float>(values));
            Vector512<int> wide = E4M3.Encode(Vector512.Create(Vector256<float>.Zero, Vector256.Create<float>(values)));
            for (int i = 0; i < 8; i++)
            {
                Assert.Equal(E4M3.Encode(values[i]), codes[i]);
                Assert.Equal(codes[i], wide[i + 8]);
            }
        }
    }

    [Fact]
    public unsafe void Decoding_gives_the_value_of_every_code()
    {
        byte[] codes = [.. Enumerable.Range(0, 256).Select(code => (byte)code)];
        float[] values = new float[256];
        fixed (byte* source = codes)
        fixed (float* destination = values)
        {
            TokenQuantizer.Decode(source, destination, 256);
        }
        Assert.Equal(Enumerable.Range(0, 256).Select(code => (float)Reference.Fp8(code)), values);
        Assert.Equal(values, E4M3.Values.ToArray());
    }

    [Fact]
    public unsafe void Half_conversions_agree_with_the_runtimes_for_every_half_and_its_midpoints()
    {
        Half[] halves = [.. Enumerable.Range(0, 65536).Select(bits => BitConverter.UInt16BitsToHalf((ushort)bits))];
        float[] widened = new float[65536];
        fixed (Half* source = halves)
        fixed (float* destination = widened)
        {
            HalfConversion.ToSingle(source, destination, 65536);
        }
        Assert.Equal(halves.Select(half => (float)half), widened);

        float[] values = [.. widened.SelectMany(
            value => new[] { value, Middle(value), MathF.BitIncrement(Middle(value)), MathF.BitDecrement(Middle(value)) })];
        Half[] narrowed = new Half[values.Length];
        fixed (float* source = values)
        fixed (Half* destination = narrowed)
        {
            HalfConversion.ToHalf(source, destination, values.Length);
        }
        for (int i = 0; i < values.Length; i++)
        {
            Half expected = (Half)values[i];
            Assert.True(Half.IsNaN(expected) ? Half.IsNaN(narrowed[i]) : expected.Equals(narrowed[i]), $"{values[i]:R}");
        }

        // In vectors of every width, and one by one.
        foreach (int length in (int[])[values.Length, 8, 1])
        {
            float[] rounded = [.. values];
            fixed (float* place = rounded)
            {
                for (int i = 0; i < rounded.Length; i += length)
                {
                    HalfConversion.Round(place + i, length);
                }
            }

            Assert.Equal(values.Select(value => (float)(Half)value), rounded);
        }

        static float Middle(float value) => BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(value) + 0x1000);
    }

    private static (byte[] Codes, float[] Scales) Run<T>(T[] x, int rows, int columns)
        where T : unmanaged
    {
        byte[] model = Onnx.Model(
            [
                Onnx.Node("zqfp", OperatorNames.QuantizeTokens, ["x"], ["xq", "sx"]),
                // The package gives no FP8 outputs: each code is cast to the float it stands for.
                Onnx.Node("", "Cast", ["xq"], ["xf"], Onnx.Attribute("to", Onnx.Float)),
            ],
            [Onnx.Value("x", Onnx.TypeOf<T>(), "m", columns)],
            [Onnx.Value("xf", Onnx.Float, "m", columns), Onnx.Value("sx", Onnx.Float, "m", 1)]);
        using var session = new InferenceSession(model, new SessionOptions().AddZqfpOperators());
        using OrtValue input = TestSessions.Tensor(x, rows, columns);
        OrtValue[] outputs = session.Run(["x"], [input], ["xf", "sx"]);
        Assert.Equal([rows, 1], outputs[1].GetTensorTypeAndShape().Shape);
        return ([.. outputs[0].GetTensorDataAsSpan<float>().ToArray().Select(value => (byte)Reference.NearestFp8(value))],
            outputs[1].GetTensorDataAsSpan<float>().ToArray());
    }
}
