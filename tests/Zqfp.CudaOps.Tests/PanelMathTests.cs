namespace Zqfp.CudaOps.Tests;

public sealed unsafe class PanelMathTests
{
    [Fact]
    public void Every_instruction_set_decodes_every_code_exactly()
    {
        // Rows of 64 words: the codes of row i begin with i and go up by one from column to column.
        const int Width = PackedWeights.PanelWidth, Columns = 256;
        uint[] words = new uint[Width * Columns / 4];
        uint[] nibbles = new uint[Width * Columns / 8];

        // The two NaNs are no weight code: packing replaces them.
        static int Code(int row, int column) => (row + column) % 256 is var any && (any & 127) == 127 ? 0 : any;
        for (int i = 0; i < Width * Columns; i++)
        {
            (int column, int row) = (i / Width, i % Width);
            words[(column / 4 * Width) + row] |= (uint)Code(row, column) << (column % 4 * 8);
            nibbles[(column / 8 * Width) + row] |= (uint)(Code(row, column) & 15) << (column % 8 * 4);
        }

        foreach (PanelMath math in PanelMath.All)
        {
            int width = math.StripWidth;
            float[] decoded = new float[width * Columns];
            fixed (uint* source = words, sourceOfNibbles = nibbles)
            fixed (float* destination = decoded)
            {
                for (int first = 0; first < Width; first += width)
                {
                    float[] Expected(Func<int, double> value) =>
                        [.. Enumerable.Range(0, width * Columns).Select(i => (float)value(Code(first + (i % width), i / width)))];
                    math.DecodeE4M3(source + first, Columns, destination);
                    Assert.Equal(Expected(Reference.Fp8), decoded);
                    math.DecodeE2M1(sourceOfNibbles + first, Columns, destination);
                    Assert.Equal(Expected(code => Reference.Fp4(code & 15)), decoded);
                }
            }
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Tiles_hold_every_row_once_and_only_units_of_their_own(int unit)
    {
        for (int count = 1; count <= 100; count++)
        {
            var tiles = new RowTiles(count, unit);
            Assert.Equal((count + unit - 1) / unit * unit, tiles.Rows);
            int row = 0;
            while (row < tiles.Rows)
            {
                (int first, int rows) = tiles.Of(row);
                Assert.Equal(row, first);
                Assert.Contains(rows / (double)unit, (double[])(count <= unit ? [1] : [2, 3]));
                Assert.Equal(row < tiles.LargeRows ? 3 * unit : tiles.SmallTile, rows);
                Assert.All(Enumerable.Range(row, rows), other => Assert.Equal((first, rows), tiles.Of(other)));
                row += rows;
            }

            Assert.Equal(tiles.Rows, row);
        }
    }

    [Fact]
    public void Every_instruction_set_gives_the_same_products_for_any_number_of_rows()
    {
        const int Columns = 24, Most = 40, Width = PackedWeights.PanelWidth;
        var random = new Random(3);
        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];
        float[] x = Values(Most * Columns), w = Values(Width * Columns), scales = Values(Width), begin = Values(Width * Most);
        float[] expected = new float[Width * Most];
        for (int i = 0; i < expected.Length; i++)
        {
            float sum = 0;
            for (int column = 0; column < Columns; column++)
            {
                sum = MathF.FusedMultiplyAdd(x[(i / Width * Columns) + column], w[(column * Width) + (i % Width)], sum);
            }

            expected[i] = MathF.FusedMultiplyAdd(sum, scales[i % Width], begin[i]);
        }

        foreach (PanelMath math in PanelMath.All)
        {
            for (int count = 1; count <= Most; count++)
            {
                var tiles = new RowTiles(count, math.RowUnit);
                int width = math.StripWidth;
                for (int first = 0; first < Width; first += width)
                {
                    float[] laidOut = new float[tiles.Rows * Columns], zero = new float[Columns], totals = new float[tiles.Rows * width];
                    for (int row = 0; row < tiles.Rows; row += 2)
                    {
                        (int tile, int rows) = tiles.Of(row);
                        float[] Row(int i) => i < count ? x[(i * Columns)..((i + 1) * Columns)] : zero;
                        fixed (float* even = Row(row), odd = Row(row + 1), place = &laidOut[(tile * Columns) + row - tile])
                        {
                            RowTiles.Write(even, odd, Columns, place, rows);
                        }
                    }

                    float[] strip = [.. Enumerable.Range(0, Columns * width).Select(i => w[(i / width * Width) + first + (i % width)])];
                    int Place(int i) => (i / width * Width) + first + (i % width);
                    for (int i = 0; i < count * width; i++)
                    {
                        totals[i] = begin[Place(i)];
                    }

                    fixed (float* tiled = laidOut, columns = strip, factors = &scales[first], results = totals)
                    {
                        math.Multiply(tiled, tiles, columns, Columns, factors, results);
                    }

                    Assert.Equal(Enumerable.Range(0, count * width).Select(i => expected[Place(i)]), totals[..(count * width)]);
                }
            }
        }
    }
}
