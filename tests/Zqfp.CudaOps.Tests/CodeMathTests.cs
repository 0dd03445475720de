namespace Zqfp.CudaOps.Tests;

public sealed unsafe class CodeMathTests
{
    private const int Width = PackedWeights.PanelWidth;

    public static TheoryData<int, int, string> Cases
    {
        get
        {
            var cases = new TheoryData<int, int, string>();
            foreach (string content in new[] { "random", "small", "outlier", "largest", "every" })
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
        const int Tokens = 29;
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
                "outlier" => (byte)(i % columns == columns / 2 ? 0xFE : tokens[i] & 0x9F),
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
            (float[] firsts, float[] seconds) = TwoByTwo(math, packed, tokens, Tokens);
            Assert.Equal(expected, firsts);
            Assert.Equal(expected, seconds);
            if (math is DigitMath together)
            {
                Assert.Equal(expected, Together(together, packed, tokens, Tokens));
            }
        }

        // Tiles of every height, by themselves and behind others.
        foreach (PairMath math in PairMath.All)
        {
            foreach (int count in (int[])[1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14, Tokens])
            {
                Assert.Equal(expected[..(count * Width)], InPairs(math, packed, tokens, count));
            }
        }
    }

    [Fact]
    public void NaN_among_the_codes_is_the_tokens_scale()
    {
        var layout = new GroupLayout(64, 40);
        for (int place = 0; place < 64; place++)
        {
            byte[] codes = new byte[layout.PaddedColumns];
            using var pairs = new NativeBuffer(TokenPairs.RowBytes(layout));
            Assert.Equal(2, ScaleOfPairs(codes, layout, pairs));
            Assert.All(CodeMath.All, math => Assert.Equal(2, Scale(math, codes, layout)));
            codes[place] = (byte)(place % 2 == 0 ? 0x7F : 0xFF);
            Assert.True(float.IsNaN(ScaleOfPairs(codes, layout, pairs)));
            Assert.All(CodeMath.All, math => Assert.True(float.IsNaN(Scale(math, codes, layout))));
        }
    }

    private static float Scale(CodeMath math, byte[] codes, GroupLayout layout)
    {
        using var token = new NativeBuffer(math.RowBytes(layout));
        fixed (byte* first = codes)
        {
            math.Write(first, layout, 2, token.Bytes);
        }

        return CodeMath.Scale(token.Bytes);
    }

    private static float ScaleOfPairs(byte[] codes, GroupLayout layout, NativeBuffer token)
    {
        using var pairs = new NativeBuffer(layout.PaddedColumns * sizeof(short));
        fixed (byte* first = codes)
        {
            TokenPairs.Write(first, layout, 2, (int*)pairs.Bytes, token.Bytes);
        }

        return ((TokenPairs.Head*)token.Bytes)->Scale;
    }

    [Theory]
    [InlineData(256)]
    [InlineData(16)]
    public void Every_code_is_its_integers(int groupSize)
    {
        var layout = new GroupLayout(256, groupSize);
        using NativeBuffer pairs = new(layout.PaddedColumns * sizeof(short)), side = new(TokenPairs.RowBytes(layout));
        byte[] codes = [.. Enumerable.Range(0, 256).Select(i => (byte)((i & 127) == 127 ? 0 : i))];
        fixed (byte* first = codes)
        {
            TokenPairs.Write(first, layout, 1, (int*)pairs.Bytes, side.Bytes);
        }

        int[] values = new int[256];
        static int Column(int pair) => (pair / 4 * 8) + (pair % 4);
        for (int pair = 0; pair < 128; pair++)
        {
            int both = ((int*)pairs.Bytes)[pair], place = Head(Column(pair) / layout.Chunks[0].Length)->Place;
            (values[Column(pair)], values[Column(pair) + 4]) = ((short)both << place, (both >> 16) << place);
        }

        for (int chunk = 0; chunk < layout.Chunks.Length; chunk++)
        {
            int start = layout.Chunks[chunk].Start, count = Head(chunk)->Rests;
            var rests = (TokenPairs.Rest*)(side.Bytes + TokenPairs.RestsOffset(layout, start));
            for (int i = 0; i < count; i++)
            {
                values[start + Column(rests[i].Pair)] += (short)rests[i].Value;
                values[start + Column(rests[i].Pair) + 4] += rests[i].Value >> 16;
            }
        }

        Assert.Equal(codes.Select(code => (int)(Reference.Fp8(code) * 512)), values);

        // The first codes are small, and have rests beside large ones.
        Assert.Equal(groupSize == 16, Head(0)->Rests == 0);
        Assert.Equal(TokenPairs.Bits, Head(layout.Chunks.Length - 1)->Place);

        TokenPairs.ChunkHead* Head(int chunk) => (TokenPairs.ChunkHead*)(side.Bytes + TokenPairs.HeadOffset(chunk));
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
        using NativeBuffer rows = LaidOut(math, packed.Layout, tokens, count);
        fixed (float* first = totals)
        {
            for (int i = 0; i < count; i++)
            {
                math.MultiplyRow(rows.Bytes + (i * math.RowBytes(packed.Layout)), packed, 0, first + (i * Width));
            }
        }

        return totals;
    }

    /// <summary>Each token with the next one, and the last with the first: their totals as the first of two and as the second.</summary>
    private static (float[] Firsts, float[] Seconds) TwoByTwo(CodeMath math, PackedWeights packed, byte[] tokens, int count)
    {
        float[] firsts = new float[count * Width], seconds = new float[count * Width], both = new float[2 * Width];
        int bytes = math.RowBytes(packed.Layout);
        using NativeBuffer rows = LaidOut(math, packed.Layout, tokens, count);
        fixed (float* totals = both)
        {
            for (int i = 0; i < count; i++)
            {
                int next = (i + 1) % count;
                math.MultiplyTwo(rows.Bytes + (i * bytes), rows.Bytes + (next * bytes), packed, 0, totals);
                both.AsSpan(0, Width).CopyTo(firsts.AsSpan(i * Width));
                both.AsSpan(Width).CopyTo(seconds.AsSpan(next * Width));
            }
        }

        return (firsts, seconds);
    }

    private static float[] Together(DigitMath math, PackedWeights packed, byte[] tokens, int count)
    {
        float[] totals = new float[count * Width];
        GroupLayout layout = packed.Layout;
        using NativeBuffer rows = LaidOut(math, layout, tokens, count), decoded = new(GroupLayout.ChunkLength * Width);
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

    private static float[] InPairs(PairMath math, PackedWeights packed, byte[] tokens, int count)
    {
        GroupLayout layout = packed.Layout;
        var tiles = new RowTiles(count, math.RowUnit);
        int width = math.StripWidth, side = TokenPairs.RowBytes(layout), stride = layout.PaddedColumns / 2;
        using NativeBuffer sides = new((long)side * tiles.Rows), rows = new((long)stride * tiles.Rows * sizeof(int)),
            tiled = new((long)stride * tiles.Rows * sizeof(int)), strip = new(width * GroupLayout.ChunkLength * sizeof(short)),
            starts = new(width * tiles.Rows * sizeof(int)), totals = new(width * tiles.Rows * sizeof(float)),
            places = new(tiles.Rows * sizeof(int));
        for (int row = 0; row < count; row++)
        {
            fixed (byte* codes = InGroups(layout, tokens, row))
            {
                TokenPairs.Write(codes, layout, 1, (int*)rows.Bytes + (row * stride), sides.Bytes + (row * side));
            }
        }

        float[] results = new float[count * Width];
        for (int part = 0; part < Width; part += width)
        {
            new Span<float>(totals.Floats, width * tiles.Rows).Clear();
            for (int i = 0; i < layout.Chunks.Length; i++)
            {
                GroupLayout.Chunk chunk = layout.Chunks[i];
                int pairs = chunk.Length / 2, head = TokenPairs.HeadOffset(i), rests = TokenPairs.RestsOffset(layout, chunk.Start);
                math.Decode(packed.Codes(0, chunk.Start) + part, chunk.Length, (int*)strip.Bytes);
                for (int row = 0; row < tiles.Rows; row++)
                {
                    byte* token = sides.Bytes + (row * side);
                    var of = (TokenPairs.ChunkHead*)(token + head);
                    ((int*)places.Bytes)[row] = of->Place;
                    math.Start((TokenPairs.Rest*)(token + rests), of->Rests, (int*)strip.Bytes, (int*)starts.Bytes + (row * width));
                    if (row % tiles.WriteRows == 0)
                    {
                        (int first, int tileRows) = tiles.Of(row);
                        float* source = rows.Floats + (row * stride) + (chunk.Start / 2);
                        tiles.Write(source, stride, pairs, tiled.Floats + (first * pairs) + row - first, tileRows);
                    }
                }

                float* scales = packed.Scales(0, chunk.Group) + part;
                math.Multiply(
                    tiled.Floats, tiles, (int*)strip.Bytes, pairs, (int*)places.Bytes, (int*)starts.Bytes, scales, totals.Floats);
            }

            for (int i = 0; i < count * width; i++)
            {
                results[(i / width * Width) + part + (i % width)] = totals.Floats[i];
            }
        }

        return results;
    }

    private static NativeBuffer LaidOut(CodeMath math, GroupLayout layout, byte[] tokens, int count)
    {
        var rows = new NativeBuffer((long)count * math.RowBytes(layout));
        for (int i = 0; i < count; i++)
        {
            fixed (byte* first = InGroups(layout, tokens, i))
            {
                math.Write(first, layout, 1, rows.Bytes + ((long)i * math.RowBytes(layout)));
            }
        }

        return rows;
    }

    /// <summary>A token's codes, each group of them at its place.</summary>
    private static byte[] InGroups(GroupLayout layout, byte[] tokens, int token)
    {
        byte[] codes = new byte[layout.PaddedColumns];
        for (int column = 0; column < layout.Columns; column++)
        {
            int place = layout.GroupStart(column / layout.GroupSize) + (column % layout.GroupSize);
            codes[place] = tokens[(token * layout.Columns) + column];
        }

        return codes;
    }
}
