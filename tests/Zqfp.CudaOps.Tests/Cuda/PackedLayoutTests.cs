using System.Buffers.Binary;

namespace Zqfp.CudaOps.Tests;

public class PackedLayoutTests
{
    private static readonly double[] Magnitudes = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

    [Theory]
    [InlineData(64, 256, 256)]
    [InlineData(64, 256, 128)]
    [InlineData(70, 272, 64)]
    [InlineData(130, 800, 32)]
    [InlineData(65, 1024, 512)]
    public void Decodes_every_element_to_its_value(int rows, int columns, int group)
    {
        (byte[] codes, byte[] exponents) = RandomWeight(rows, columns, group, seed: rows);
        PackedLayout layout = new(rows, columns, group);
        byte[] packed = layout.Pack(codes, exponents);
        Assert.Equal(layout.Bytes, packed.Length);
        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                int code = Code(codes, columns, row, column);
                int k = exponents[(row * ((columns + group - 1) / group)) + (column / group)];
                (byte operand, float scale) = layout.Decode(packed, row, column);
                Assert.Equal(Value(code) * Math.Pow(2, -6), E4M3(operand));
                Assert.Equal(Math.Pow(2, 12 - k), scale);
            }
        }
    }

    [Fact]
    public void Every_word_holds_its_eight_codes()
    {
        Random random = new(1);
        byte[] codes = new byte[8];
        for (int trial = 0; trial < 20000; trial++)
        {
            for (int i = 0; i < 8; i++)
            {
                codes[i] = (byte)random.Next(16);
            }

            (uint first, uint second) = Decode8(PackedLayout.EncodeWord(codes));
            for (int b = 0; b < 4; b++)
            {
                Assert.Equal(Value(codes[b]) / 64, E4M3((byte)(first >> (8 * b))));
                Assert.Equal(Value(codes[4 + b]) / 64, E4M3((byte)(second >> (8 * b))));
            }
        }
    }

    /// <summary>Does what a thread of the kernel does, from its addresses to its operand registers.</summary>
    [Theory]
    [InlineData(256)]
    [InlineData(128)]
    [InlineData(64)]
    [InlineData(32)]
    public void Threads_find_their_operand_registers(int group)
    {
        const int Columns = 512;
        (byte[] codes, byte[] exponents) = RandomWeight(128, Columns, group, seed: group);
        PackedLayout layout = new(128, Columns, group);
        byte[] packed = layout.Pack(codes, exponents);
        for (int block = 0; block < 4; block++)
        {
            ReadOnlySpan<byte> bytes = packed.AsSpan(block * layout.BlockBytes, layout.BlockBytes);
            for (int thread = 0; thread < 128; thread++)
            {
                int warp = thread / 32, lane = thread % 32;
                for (int step = 0; step < 8; step++)
                {
                    for (int half = 0; half < 2; half++)
                    {
                        uint word = BinaryPrimitives.ReadUInt32LittleEndian(
                            bytes[((step / 2 * 2048) + (thread * 16) + (((step % 2 * 2) + half) * 4))..]);
                        int exponent = bytes[8192 + (step * 32 / group * 64) + (warp * 16) + (lane / 4 * 2) + half];
                        (uint first, uint second) = Decode8(word);
                        double multiplier = BitConverter.Int32BitsToSingle(exponent << 23);
                        int row = (block / 2 * 64) + (warp * 16) + (lane / 4) + (8 * half);
                        for (int b = 0; b < 4; b++)
                        {
                            int column = (block % 2 * 256) + (step * 32) + (lane % 4 * 4) + b;
                            double scale = Math.Pow(2, 6 - exponents[(row * (Columns / group)) + (column / group)]);
                            Assert.Equal(Value(Code(codes, Columns, row, column)) * scale, E4M3((byte)(first >> (8 * b))) * multiplier);
                            Assert.Equal(Value(Code(codes, Columns, row, column + 16)) * scale,
                                E4M3((byte)(second >> (8 * b))) * multiplier);
                        }
                    }
                }
            }
        }
    }

    [Fact]
    public void Float_scales_lie_beside_each_other_for_the_two_rows_of_a_thread()
    {
        PackedLayout layout = new(64, 256, 128, floatScales: true);
        float[] scales = [.. Enumerable.Range(0, 128).Select(i => i + 0.5f)];
        byte[] packed = layout.Pack(new byte[64 * 128], scales);
        for (int row = 0; row < 64; row++)
        {
            for (int group = 0; group < 2; group++)
            {
                int place = (group * 64) + (row / 16 * 16) + (row % 8 * 2) + (row % 16 / 8);
                Assert.Equal(4096 * scales[(row * 2) + group], BinaryPrimitives.ReadSingleLittleEndian(packed.AsSpan(8192 + (place * 4))));
            }
        }
    }

    [Fact]
    public void Refuses_an_exponent_the_format_cannot_hold()
    {
        PackedLayout layout = new(1, 256, 256);
        ZqfpException e = Assert.Throws<ZqfpException>(() => layout.Pack(new byte[128], new byte[] { 15 }));
        Assert.Equal("ZQFP4108", e.Code);
    }

    [Theory]
    [InlineData(64, 250, 256, false)]
    [InlineData(64, 256, 48, false)]
    [InlineData(64, 256, 0, false)]
    [InlineData(64, 256, 64, true)]
    [InlineData(0, 256, 256, false)]
    public void Refuses_shapes_it_cannot_hold(int rows, int columns, int group, bool floats)
    {
        Assert.False(PackedLayout.Supports(rows, columns, group, floats));
        Assert.Equal("ZQFP4108", Assert.Throws<ZqfpException>(() => new PackedLayout(rows, columns, group, floats)).Code);
    }

    /// <summary>decode8 of packed.cuh.</summary>
    private static (uint First, uint Second) Decode8(uint word) => (word & 0x9C9C9C9C, ((word >> 2) ^ (word << 2)) & 0x9C9C9C9C);

    private static (byte[] Codes, byte[] Exponents) RandomWeight(int rows, int columns, int group, int seed)
    {
        Random random = new(seed);
        byte[] codes = new byte[rows * columns / 2];
        random.NextBytes(codes);
        byte[] exponents = new byte[rows * ((columns + group - 1) / group)];
        for (int i = 0; i < exponents.Length; i++)
        {
            exponents[i] = (byte)random.Next(PackedLayout.MaxExponent + 1);
        }

        return (codes, exponents);
    }

    private static int Code(byte[] codes, int columns, int row, int column) =>
        (codes[(row * columns / 2) + (column / 2)] >> (4 * (column % 2))) & 15;

    private static double Value(int code) => code >= 8 ? -Magnitudes[code - 8] : Magnitudes[code];

    private static double E4M3(byte bits)
    {
        int exponent = (bits >> 3) & 15, mantissa = bits & 7;
        double value = exponent == 0 ? mantissa * Math.Pow(2, -9) : (1 + (mantissa / 8.0)) * Math.Pow(2, exponent - 7);
        return bits >= 128 ? -value : value;
    }
}
