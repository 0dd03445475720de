
namespace Zqfp.CudaOps.Tests;

public sealed class LinearConstantsTests
{
    [Theory]
    [InlineData(64, 256, 256, 14, true)]
    [InlineData(100, 288, 256, 3, true)]
    [InlineData(8, 96, 96, 0, true)]
    [InlineData(8, 96, 256, 0, true)]
    [InlineData(64, 172, 172, 0, false)]
    [InlineData(64, 512, 48, 0, false)]
    [InlineData(64, 256, 256, 15, false)]
    public void Tells_what_the_packed_layout_holds(int rows, int columns, int group, byte largestExponent, bool fits)
    {
        int groups = (columns + group - 1) / group;
        byte[] exponents = new byte[rows * groups];
        exponents[^1] = largestExponent;
        LinearConstants constants = Constants(rows, columns, group, new byte[((rows * columns) + 1) / 2]) with { Exponents = exponents };
        Assert.Equal(fits, constants.FitsPackedLayout);
        if (fits)
        {
            Assert.True(PackedLayout.Supports(rows, columns, constants.PackedGroupSize));
        }
    }

    [Fact]
    public void Puts_each_row_of_odd_length_on_bytes_of_its_own()
    {
        // Two rows of three codes: 1 2 3 and 4 5 6, contiguous in the model.
        LinearConstants constants = Constants(2, 3, 3, [0x21, 0x43, 0x65]);
        Assert.Equal([0x21, 0x03, 0x54, 0x06], constants.RowCodes().ToArray());
    }

    [Fact]
    public void Leaves_rows_of_even_length_where_they_are()
    {
        byte[] codes = [0x21, 0x43];
        Assert.Equal(codes, Constants(2, 2, 2, codes).RowCodes().ToArray());
    }

    private static LinearConstants Constants(int rows, int columns, int group, byte[] codes) => new(
        rows, columns, group, codes, new byte[rows * ((columns + group - 1) / group)], new float[rows], default,
        default, default, default, 0);
}
