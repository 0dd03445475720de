namespace Zqfp.CudaOps.Tests;

public sealed unsafe class CodeMathTests
{
    private const int Width = PackedWeights.PanelWidth;

    public static TheoryData<int, int, string> Cases
    {
        get
        {
            var cases = new TheoryData<int, int, string>();
            foreach (string content in new[] { "random", "small", "largest", "every" })
            {
                cases.Add(8, 8, content);
                cases.Add(256, 256, content);
                cases.Add(1030, 1030, content);
                cases.Add(330, 41, content);
                cases.Add(160, 32, content);
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Every_instruction_set_gives_the_exact_sum_of_a_chunk_rounded_once(int columns, int groupSize, string content)
    {
        const int Tokens = 3;
        var layout = new GroupLayout(columns, groupSize);
        var random = new Random(columns);
        byte[] weights = new byte[Width * columns / 2], exponents = new byte[Width * layout.Groups], tokens = new byte[Tokens * columns];
        random.NextBytes(weights);
        random.NextBytes(tokens);
        for (int i = 0; i < tokens.Length; i++)
        {
            tokens[i] = content switch
            {
                "small" => (byte)(tokens[i] & 0x9F),
                "largest" => (byte)(0x7E | (i < columns ? 0 : tokens[i] & 0x80)),
                "every" => (byte)i,
                _ => tokens[i],
            };
            tokens[i] = (tokens[i] & 0x7F) == 0x7F ? (byte)0 : tokens[i];
        }

        if (content == "largest")
        {
            weights.AsSpan(0, weights.Length / 2).Fill(0x77);
            weights.AsSpan(weights.Length / 2).Fill(0xFF);
        }

        for (int i = 0; i < exponents.Length; i++)
        {
            exponents[i] = (byte)random.Next(9);
        }

        float[] rowScales = [.. Enumerable.Repeat(1f, Width)];
        using var packed = PackedWeights.FromExponents(WeightFormat.E2M1, weights, exponents, rowScales, Width, layout);
        float[] expected = Expected(packed, weights, tokens, layout, Tokens);
        foreach (CodeMath math in CodeMath.All)
        {
            Assert.Equal(expected, OneByOne(math, packed, tokens, Tokens));
            Assert.Equal(expected, Together(math, packed, tokens, Tokens));
        }
    }

    [Fact]
    public void NaN_among_the_codes_is_the_tokens_scale()
    {
        var layout = new GroupLayout(24, 16);
        for (int place = 0; place < 24; place++)
        {
            byte[] codes = new byte[layout.PaddedColumns];
            using var token = new NativeBuffer(TokenDigits.RowBytes(layout));
            Assert.Equal(2, Scale(codes, layout, token));
            codes[place] = (byte)(place % 2 == 0 ? 0x7F : 0xFF);
            Assert.True(float.IsNaN(Scale(codes, layout, token)));
        }
    }

    private static float Scale(byte[] codes, GroupLayout layout, NativeBuffer token)
    {
        fixed (byte* first = codes)
        {
            TokenDigits.Write(first, layout, 2, token.Bytes);
        }

        return ((TokenDigits.Head*)token.Bytes)->Scale;
    }

    /// <summary>A chunk's sum is exact in float64; it is rounded to float32 and added under its scale by a fused multiply-add.</summary>
    private static float[] Expected(PackedWeights packed, byte[] weights, byte[] tokens, GroupLayout layout, int count)
    {
        float[] totals = new float[count * Width];
        for (int i = 0; i < totals.Length; i++)
        {
            int row = i % Width;
            foreach (GroupLayout.Chunk chunk in layout.Chunks)
            {
                double sum = 0;
                for (int laidOut = chunk.Start; laidOut < chunk.Start + chunk.Length; laidOut++)
                {
                    int within = laidOut - layout.GroupStart(chunk.Group), column = (chunk.Group * layout.GroupSize) + within;
                    if (within < layout.GroupSize && column < layout.Columns)
                    {
                        int weight = (row * layout.Columns) + column;
                        sum += Reference.Fp8(tokens[(i / Width * layout.Columns) + column])
                            * Reference.Fp4(weights[weight / 2] >> (4 * (weight % 2)));
                    }
                }

                totals[i] = MathF.FusedMultiplyAdd((float)sum, packed.Scales(0, chunk.Group)[row], totals[i]);
            }
        }

        return totals;
    }

    private static float[] OneByOne(CodeMath math, PackedWeights packed, byte[] tokens, int count)
    {
        float[] totals = new float[count * Width];
        using NativeBuffer rows = LaidOut(packed.Layout, tokens, count);
        fixed (float* first = totals)
        {
            for (int i = 0; i < count; i++)
            {
                math.MultiplyRow(rows.Bytes + (i * TokenDigits.RowBytes(packed.Layout)), packed, 0, first + (i * Width));
            }
        }

        return totals;
    }

    private static float[] Together(CodeMath math, PackedWeights packed, byte[] tokens, int count)
    {
        float[] totals = new float[count * Width];
        GroupLayout layout = packed.Layout;
        using NativeBuffer rows = LaidOut(layout, tokens, count), decoded = new(GroupLayout.ChunkLength * Width);
        fixed (float* first = totals)
        {
            for (int i = 0; i < layout.Chunks.Length; i++)
            {
                GroupLayout.Chunk chunk = layout.Chunks[i];
                math.Decode(packed.Codes(0, chunk.Start), chunk.Length, decoded.Bytes);
                var part = new TokenChunk
                {
                    Head = (TokenDigits.ChunkHead*)(rows.Bytes + TokenDigits.HeadOffset(i)),
                    Digits = (sbyte*)(rows.Bytes + TokenDigits.DigitsOffset(layout, chunk.Start)),
                    Stride = TokenDigits.RowBytes(layout),
                    Rows = count,
                    Columns = chunk.Length,
                };
                math.Multiply(part, decoded.Bytes, packed.Scales(0, chunk.Group), first);
            }
        }

        return totals;
    }

    private static NativeBuffer LaidOut(GroupLayout layout, byte[] tokens, int count)
    {
        var rows = new NativeBuffer((long)count * TokenDigits.RowBytes(layout));
        for (int i = 0; i < count; i++)
        {
            byte[] codes = new byte[layout.PaddedColumns];
            for (int column = 0; column < layout.Columns; column++)
            {
                codes[layout.GroupStart(column / layout.GroupSize) + (column % layout.GroupSize)] = tokens[(i * layout.Columns) + column];
            }

            fixed (byte* first = codes)
            {
                TokenDigits.Write(first, layout, 1, rows.Bytes + ((long)i * TokenDigits.RowBytes(layout)));
            }
        }

        return rows;
    }
}
