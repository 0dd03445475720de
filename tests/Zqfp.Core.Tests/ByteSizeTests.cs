namespace Zqfp.Core.Tests;

public sealed class ByteSizeTests
{
    [Theory]
    [InlineData("1.5GB", 1_500_000_000)]
    [InlineData("4GiB", 4L << 30)]
    [InlineData("4 gib", 4L << 30)]
    [InlineData("999999TB", 999_999_000_000_000_000)]
    [InlineData("1000", 1000)]
    public void A_size_has_a_number_and_a_unit(string text, long bytes) => Assert.Equal(bytes, ByteSize.Parse(text));

    [Theory]
    [InlineData("0")]
    [InlineData("0GB")]
    [InlineData("-1")]
    [InlineData("-1GB")]
    [InlineData("1e9")]
    [InlineData("9999999TB")]
    [InlineData("99999999999999999999")]
    [InlineData("inf")]
    [InlineData("4Gi")]
    [InlineData("GB")]
    [InlineData("")]
    public void What_is_none_is_refused(string text) => Assert.Null(ByteSize.Parse(text));
}
