namespace Zqfp.Tool.Tests;

public class ExplainTests
{
    [Theory]
    [InlineData("ZQFP3001")]
    [InlineData("zqfp3001")]
    [InlineData("3001")]
    public void A_code_is_answered_with_its_page(string code)
    {
        ToolProcess result = ToolProcess.Run("explain", code);

        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Equal(File.ReadAllText(Repository.Path("docs/diagnostics/ZQFP3001.md")), result.Output);
    }

    [Fact]
    public void Without_a_code_every_page_is_listed_with_its_title()
    {
        string[] lines = ToolProcess.Run("explain").Output.TrimEnd().Split('\n');

        Assert.Equal(Directory.GetFiles(Repository.Path("docs/diagnostics"), "*.md").Length, lines.Length - 1);
        Assert.Contains("ZQFP3001  The quality gate failed", lines);
    }

    [Theory]
    [InlineData("ZQFP3010", "ZQFP3016")]
    [InlineData("30021", "ZQFP3002")]
    [InlineData("", "ZQFP")]
    public void A_code_that_does_not_exist_is_answered_with_the_nearest(string code, string nearest)
    {
        ToolProcess result = ToolProcess.Run("explain", code);

        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains($"There is no code '{code}'. The nearest is {nearest}", Assert.Single(result.Errors), StringComparison.Ordinal);
    }
}
