namespace Zqfp.Tool.Tests;

/// <summary>
/// The help is an interface: scripts and people rely on it. After a change that is meant, run the tests with
/// ZQFP_UPDATE_SNAPSHOTS=1 and review the difference.
/// </summary>
public class HelpTests
{
    [Theory]
    [InlineData("root")]
    [InlineData("bench")]
    [InlineData("quantize")]
    [InlineData("evaluate")]
    [InlineData("gate")]
    [InlineData("inspect")]
    [InlineData("report")]
    [InlineData("sweep")]
    [InlineData("completion")]
    [InlineData("doctor")]
    [InlineData("explain")]
    [InlineData("plan")]
    [InlineData("schema")]
    [InlineData("submit")]
    [InlineData("verify")]
    public void Help_is_as_agreed(string command)
    {
        ToolProcess result = ToolProcess.Run(command == "root" ? ["--help"] : [command, "--help"]);
        string snapshot = Repository.Path($"tests/Zqfp.Tool.Tests/Snapshots/{command}.txt");
        string actual = string.Join('\n', result.Output.ReplaceLineEndings("\n").Split('\n').Select(line => line.TrimEnd())).Trim() + "\n";
        if (Environment.GetEnvironmentVariable("ZQFP_UPDATE_SNAPSHOTS") == "1")
        {
            File.WriteAllText(snapshot, actual);
        }

        Assert.Equal(File.ReadAllText(snapshot), actual);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
    }

    [Fact]
    public void Help_wins_over_missing_arguments() => Assert.Equal(0, ToolProcess.Run("gate", "--against", "x", "--help").ExitCode);

    [Fact]
    public void The_version_is_one_line()
    {
        ToolProcess result = ToolProcess.Run("--version");

        Assert.Equal(0, result.ExitCode);
        Assert.Matches(@"^\d+\.\d+\.\d+\S*\r?\n$", result.Output);
    }
}
