namespace Zqfp.CudaOps.Tests;

public sealed class OrtVersionTests
{
    [Theory]
    [InlineData("1.23.0", true)]
    [InlineData("1.30.0", true)]
    [InlineData("1.31.0-dev-20260101", true)]
    [InlineData("1.22.2", false)]
    [InlineData("2.0.0", false)]
    [InlineData("not a version", false)]
    public void Accepts_the_versions_whose_API_it_was_made_for(string version, bool isAccepted)
    {
        var error = Record.Exception(() => OrtVersion.Check(version)) as ZqfpException;
        Assert.Equal(isAccepted ? null : "ZQFP4004", error?.Code);
    }
}
