namespace Zqfp.Tool.Tests;

/// <summary>Standard streams that take nothing: a log on a full disk, a stream that is closed, a terminal that is gone.</summary>
public sealed class StandardStreamTests
{
    private const string Model = "samples/ModelProject/model/model.onnx";

    [Theory]
    [InlineData("--help")]
    [InlineData("--version")]
    [InlineData("schema")]
    [InlineData("explain", "ZQFP0001")]
    [InlineData("completion", "bash")]
    [InlineData("quantize", "--help")]
    [InlineData("inspect", Model)]
    public void A_result_that_cannot_be_written_is_one_coded_error(params string[] arguments)
    {
        ToolProcess result = InShell(" >/dev/full", arguments);

        Assert.Equal(14, result.ExitCode);
        Assert.Contains("error ZQFP4021: The disk is full: Standard output", Assert.Single(Lines(result.Error)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_result_without_a_stream_is_one_coded_error()
    {
        ToolProcess result = InShell(" >&-", "schema");

        Assert.Equal(10, result.ExitCode);
        Assert.Contains("error ZQFP0908: ", Assert.Single(Lines(result.Error)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(" 2>/dev/full")]
    [InlineData(" 2>&-")]
    public void Progress_and_messages_that_cannot_be_written_end_no_work(string redirection)
    {
        Assert.Equal((10, ""), Outcome(InShell(redirection, "inspect", "no such model.onnx")));
        Assert.Equal((2, ""), Outcome(InShell(redirection, "no such command")));

        ToolProcess measured = InShell(
            redirection, "verify", Model, Model, "--windows", "1", "--window", "8");
        Assert.Equal(0, measured.ExitCode);
        Assert.NotEmpty(measured.Output);
    }

    private static (int, string) Outcome(ToolProcess result) => (result.ExitCode, result.Output);

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static ToolProcess InShell(string redirection, params string[] arguments)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "/dev/full is Linux's.");
        var start = new System.Diagnostics.ProcessStartInfo("/bin/sh",
            ["-c", $"{ToolProcess.ShellCommand} \"$@\"{redirection}", "sh", .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Repository.Root,
        };
        using System.Diagnostics.Process process = System.Diagnostics.Process.Start(start)!;
        return ToolProcess.Finish(process);
    }
}
