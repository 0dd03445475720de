namespace Zqfp.Numerics.Tests;

public sealed class NumberFormatTests
{
    public static TheoryData<string> Names() => [.. NumberFormat.All.Select(format => format.Name)];

    [Fact]
    public void E2M1_has_the_grid_of_the_standard() =>
        Assert.Equal([0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6], Values(NumberFormat.E2M1));

    [Fact]
    public void E3M0_has_powers_of_two() =>
        Assert.Equal([0, 0.25f, 0.5f, 1, 2, 4, 8, 16, -0f, -0.25f, -0.5f, -1, -2, -4, -8, -16], Values(NumberFormat.E3M0));

    [Fact]
    public void Integers_are_twos_complement()
    {
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1], Values(NumberFormat.Int4));
        Assert.Equal(Enumerable.Range(0, 256).Select(code => (float)(sbyte)code), Values(NumberFormat.Int8));
    }

    [Theory]
    [InlineData(0x00, 0f)]
    [InlineData(0x01, 1f / 512)]
    [InlineData(0x07, 7f / 512)]
    [InlineData(0x08, 1f / 64)]
    [InlineData(0x38, 1f)]
    [InlineData(0x7E, 448f)]
    [InlineData(0x7F, float.NaN)]
    [InlineData(0xFE, -448f)]
    [InlineData(0xFF, float.NaN)]
    public void E4M3_decodes_as_OCP_says(int code, float value) => Assert.Equal(value, NumberFormat.E4M3.Decode((byte)code));

    [Theory]
    [InlineData(0x01, 1f / 65536)]
    [InlineData(0x04, 1f / 16384)]
    [InlineData(0x3C, 1f)]
    [InlineData(0x7B, 57344f)]
    [InlineData(0x7C, float.PositiveInfinity)]
    [InlineData(0x7D, float.NaN)]
    [InlineData(0xFC, float.NegativeInfinity)]
    public void E5M2_decodes_as_OCP_says(int code, float value) => Assert.Equal(value, NumberFormat.E5M2.Decode((byte)code));

    [Fact]
    public void E5M2_decodes_like_the_upper_byte_of_float16()
    {
        for (int code = 0; code < 256; code++)
        {
            Assert.Equal((float)BitConverter.UInt16BitsToHalf((ushort)(code << 8)), NumberFormat.E5M2.Decode((byte)code));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_finite_code_survives_decoding_and_encoding(string name)
    {
        NumberFormat format = NumberFormat.Parse(name);
        for (int code = 0; code < format.CodeCount; code++)
        {
            float value = format.Decode((byte)code);
            if (float.IsFinite(value) && MathF.Abs(value) <= format.MaxValue)
            {
                Assert.Equal(code, format.Encode(value));
            }
        }
    }

    [Theory]
    [InlineData("E2M1", 0.25f, 0f)]
    [InlineData("E2M1", 0.75f, 1f)]
    [InlineData("E2M1", 1.25f, 1f)]
    [InlineData("E2M1", 1.75f, 2f)]
    [InlineData("E2M1", 2.5f, 2f)]
    [InlineData("E2M1", 3.5f, 4f)]
    [InlineData("E2M1", 5f, 4f)]
    [InlineData("E3M0", 0.125f, 0f)]
    [InlineData("E3M0", 0.375f, 0.5f)]
    [InlineData("E3M0", 0.75f, 1f)]
    [InlineData("INT4", 0.5f, 0f)]
    [InlineData("INT4", 1.5f, 2f)]
    [InlineData("INT8", -2.5f, -2f)]
    [InlineData("E4M3", 1.0625f, 1f)]
    [InlineData("E4M3", 1.1875f, 1.25f)]
    [InlineData("E4M3", 1f / 1024, 0f)]
    [InlineData("E5M2", 1.125f, 1f)]
    [InlineData("E5M2", 1.375f, 1.5f)]
    public void Rounds_ties_to_even(string name, float value, float expected)
    {
        Assert.Equal(expected, NumberFormat.Parse(name).Round(value));
        Assert.Equal(-expected, NumberFormat.Parse(name).Round(-value));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Saturates_also_at_infinity(string name)
    {
        NumberFormat format = NumberFormat.Parse(name);
        foreach (float value in new[] { format.MaxValue * 1.01f, 1e30f, float.MaxValue, float.PositiveInfinity })
        {
            Assert.Equal(format.MaxValue, format.Round(value));
            Assert.Equal(-format.MaxValue, format.Round(-value));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void NaN_becomes_NaN_where_there_is_one_and_the_maximum_elsewhere(string name)
    {
        NumberFormat format = NumberFormat.Parse(name);
        Assert.Equal(format.HasNaN ? 0x7F : format.Encode(format.MaxValue), format.Encode(float.NaN));
        Assert.Equal(format.Encode(float.NaN), format.Encode(-float.NaN));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Random_values_go_to_the_nearest_grid_point(string name)
    {
        NumberFormat format = NumberFormat.Parse(name);
        float[] grid =
        [
            .. Enumerable.Range(0, format.CodeCount).Select(code => format.Decode((byte)code)).Where(v => MathF.Abs(v) <= format.MaxValue)
        ];
        var random = new Random(7);
        for (int i = 0; i < 20_000; i++)
        {
            float value = (float)((random.NextDouble() - 0.5) * Math.Pow(2, random.Next(-20, 18)));
            double nearest = grid.Min(point => Math.Abs((double)point - value));
            Assert.Equal(nearest, Math.Abs((double)format.Round(value) - value));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Vectors_and_scalars_agree_on_all_inputs_that_matter(string name)
    {
        NumberFormat format = NumberFormat.Parse(name);
        float[] inputs = InputsThatMatter(format);
        byte[] codes = new byte[inputs.Length];
        format.Encode(inputs, codes);
        byte[] packed = new byte[format.PackedLength(inputs.Length)];
        format.EncodePacked(inputs, 1, packed);
        float[] decoded = new float[inputs.Length];
        format.DecodePacked(packed, decoded);
        float[] rounded = new float[inputs.Length];
        format.Round(inputs, rounded);
        for (int i = 0; i < inputs.Length; i++)
        {
            byte expected = format.Encode(inputs[i]);
            if (expected != codes[i]
                || BitConverter.SingleToInt32Bits(format.Decode(expected)) != BitConverter.SingleToInt32Bits(decoded[i])
                || BitConverter.SingleToInt32Bits(rounded[i]) != BitConverter.SingleToInt32Bits(decoded[i]))
            {
                Assert.Fail($"{inputs[i]:r} (0x{BitConverter.SingleToInt32Bits(inputs[i]):x8}): scalar {expected}, vector {codes[i]}, "
                    + $"decoded {decoded[i]}, rounded {rounded[i]}");
            }
        }
    }

    [Theory]
    [InlineData("fp4", "E2M1")]
    [InlineData(" fp8 ", "E4M3")]
    [InlineData("e4m3fn", "E4M3")]
    [InlineData("int8", "INT8")]
    public void Names_are_found_without_regard_to_case(string name, string expected) => Assert.Equal(
        expected, NumberFormat.Parse(name).Name);

    [Fact]
    public void An_unknown_name_is_an_error_that_lists_the_formats()
    {
        var error = Assert.Throws<ZqfpException>(() => NumberFormat.Parse("E9M9"));
        Assert.Equal("ZQFP2005", error.Code);
        Assert.Contains("E2M1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_short_target_is_an_error() =>
        Assert.Throws<ArgumentException>(() => NumberFormat.E2M1.EncodePacked(new float[5], 1, new byte[2]));

    // All float16 values, every midpoint of neighbouring codes with the floats right below and above, and random bit patterns.
    private static float[] InputsThatMatter(NumberFormat format)
    {
        var inputs = new List<float>();
        for (int bits = 0; bits < 65536; bits++)
        {
            inputs.Add((float)BitConverter.UInt16BitsToHalf((ushort)bits));
        }

        float[] grid = [.. Values(format).Where(float.IsFinite).Order()];
        for (int i = 1; i < grid.Length; i++)
        {
            float middle = (grid[i - 1] + grid[i]) / 2;
            inputs.AddRange([grid[i], MathF.BitDecrement(grid[i]), MathF.BitIncrement(grid[i]), middle, MathF.BitDecrement(middle),
                MathF.BitIncrement(middle)]);
        }

        var random = new Random(11);
        for (int i = 0; i < 1_000_003; i++)
        {
            inputs.Add(BitConverter.Int32BitsToSingle(random.Next(int.MinValue, int.MaxValue)));
        }

        return [.. inputs];
    }

    private static float[] Values(NumberFormat format) =>
        [.. Enumerable.Range(0, format.CodeCount).Select(code => format.Decode((byte)code))];
}
