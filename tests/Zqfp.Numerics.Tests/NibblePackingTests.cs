namespace Zqfp.Numerics.Tests;

public sealed class NibblePackingTests
{
    [Fact]
    public void The_first_code_is_in_the_low_nibble()
    {
        byte[] packed = new byte[2];
        NibblePacking.Pack([1, 2, 3], packed);
        Assert.Equal([0x21, 0x03], packed);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(97)]
    [InlineData(4096)]
    public void Unpacking_gives_back_what_was_packed(int count)
    {
        var random = new Random(count);
        byte[] codes = [.. Enumerable.Range(0, count).Select(_ => (byte)random.Next(16))];
        byte[] packed = new byte[(count + 1) / 2];
        NibblePacking.Pack(codes, packed);
        byte[] unpacked = new byte[count];
        NibblePacking.Unpack(packed, unpacked);
        Assert.Equal(codes, unpacked);
    }

    [Fact]
    public void Short_spans_are_errors()
    {
        Assert.Throws<ArgumentException>(() => NibblePacking.Pack(new byte[3], new byte[1]));
        Assert.Throws<ArgumentException>(() => NibblePacking.Unpack(new byte[1], new byte[3]));
    }
}
