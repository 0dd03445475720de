using System.Numerics;
using System.Runtime.InteropServices;

namespace Zqfp.Numerics.Tests;

public class BlockHadamardTests
{
    private delegate void Path(ReadOnlySpan<float> source, Span<float> target, int block);

    private delegate float Measuring(ReadOnlySpan<float> source, Span<float> target, int block);

    private static readonly Path[] Paths =
        [BlockHadamard.Apply, BlockHadamard.ApplyScalar, BlockHadamard.ApplyVector256, BlockHadamard.ApplyVector512];

    private static readonly Measuring[] AnyBlock = [BlockHadamard.ApplyAndMeasure, BlockHadamard.ApplyThenMeasure];

    private static readonly Measuring[] LargeBlock = [WideBlocks.Apply256, WideBlocks.Apply512];

    public static TheoryData<int, int> Sizes => new()
    {
        { 2, 2 }, { 10, 2 }, { 4, 4 }, { 52, 4 }, { 8, 8 }, { 40, 8 }, { 16, 16 }, { 48, 16 }, { 80, 16 }, { 32, 32 },
        { 288, 32 }, { 64, 64 },
        { 576, 64 }, { 1536, 64 }, { 128, 128 }, { 384, 128 }, { 256, 256 }, { 768, 256 },
    };

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Multiplies_each_block_by_the_normalized_sylvester_matrix(int columns, int block)
    {
        float[] row = Values(columns, seed: columns + block);
        float[] rotated = [.. row];
        BlockHadamard.Apply(rotated, block);
        for (int j = 0; j < columns; j++)
        {
            int start = j / block * block;
            double sum = 0, magnitude = 0;
            for (int i = 0; i < block; i++)
            {
                double sign = int.IsEvenInteger(BitOperations.PopCount((uint)(i & (j - start)))) ? 1 : -1;
                sum += sign * row[start + i] / Math.Sqrt(block);
                magnitude += Math.Abs(row[start + i]) / Math.Sqrt(block);
            }

            Assert.Equal(sum, rotated[j], magnitude * (BitOperations.Log2((uint)block) + 2) * Math.Pow(2, -24));
        }
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Every_path_gives_the_same_bits(int columns, int block)
    {
        float[] row = Values(columns, seed: columns * block);
        row[0] = -0f;
        row[^1] = float.Epsilon;
        float[] expected = new float[columns];
        BlockHadamard.ApplyScalar(row, expected, block);
        foreach (Path path in Paths)
        {
            float[] rotated = new float[columns];
            path(row, rotated, block);
            Assert.Equal(Bits(expected), Bits(rotated));
            float[] inPlace = [.. row];
            path(inPlace, inPlace, block);
            Assert.Equal(Bits(expected), Bits(inPlace));
        }
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Every_path_finds_the_largest_magnitude_of_what_it_rotates(int columns, int block)
    {
        float[] row = Values(columns, seed: columns - block), expected = new float[columns];
        for (int last = 0; last < 2; last++)
        {
            BlockHadamard.ApplyScalar(row, expected, block);
            float largest = expected.Any(float.IsNaN) ? float.NaN : expected.Max(Math.Abs);
            foreach (Measuring path in (Measuring[])[.. AnyBlock, .. block < WideBlocks.Smallest ? [] : LargeBlock])
            {
                float[] rotated = new float[columns];
                Assert.Equal(largest, path(row, rotated, block));
                Assert.Equal(expected, rotated);
            }

            row[columns / 2] = float.NaN;
        }
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Applied_twice_gives_the_row_back(int columns, int block)
    {
        float[] row = Values(columns, seed: columns);
        float largest = row.Max(Math.Abs);
        float[] rotated = [.. row];
        BlockHadamard.Apply(rotated, block);
        BlockHadamard.Apply(rotated, block);
        for (int i = 0; i < columns; i++)
        {
            Assert.Equal(row[i], rotated[i], largest * 1e-5f);
        }
    }

    [Fact]
    public void Keeps_integers_exact_where_the_root_is_a_power_of_two()
    {
        float[] row = new float[64];
        row[5] = 8;
        BlockHadamard.Apply(row, 64);
        Assert.All(row, value => Assert.Equal(1, Math.Abs(value)));
        BlockHadamard.Apply(row, 64);
        Assert.Equal(8, row[5]);
        Assert.Equal(8, row.Sum());
    }

    [Theory]
    [InlineData(576, 64, true)]
    [InlineData(576, 128, false)]
    [InlineData(512, 256, true)]
    [InlineData(1024, 512, false)]
    [InlineData(6, 2, true)]
    [InlineData(6, 3, false)]
    [InlineData(6, 1, false)]
    [InlineData(6, 0, false)]
    [InlineData(6, -2, false)]
    public void Fits_powers_of_two_up_to_256_that_divide_the_columns(int columns, int block, bool expected)
    {
        Assert.Equal(expected, BlockHadamard.Fits(columns, block));
        if (!expected)
        {
            Assert.Throws<ArgumentException>(() => BlockHadamard.Apply(new float[columns], block));
        }
    }

    private static int[] Bits(float[] values) => MemoryMarshal.Cast<float, int>(values).ToArray();

    private static float[] Values(int count, int seed)
    {
        Random random = new(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = (float)((random.NextDouble() - 0.5) * Math.Pow(2, random.Next(-8, 9)));
        }

        return values;
    }
}
