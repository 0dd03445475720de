using System.Diagnostics;

namespace Zqfp.Build.Tasks.Tests;

public class CommandLineArgumentsTests
{
    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("", "\"\"")]
    [InlineData("two words", "\"two words\"")]
    [InlineData("""C:\folder\""", """C:\folder\""")]
    [InlineData("""C:\a folder\""", """
        "C:\a folder\\"
        """)]
    [InlineData("say \"hi\"", """
        "say \"hi\""
        """)]
    [InlineData("""a\"b""", """
        "a\\\"b"
        """)]
    [InlineData("@a;b'c%d", "@a;b'c%d")]
    public void Quotes_only_what_needs_it(string argument, string expected) =>
        Assert.Equal(expected, new CommandLineArguments().Add(argument).ToString());

    [Fact]
    public void An_option_without_a_value_is_left_to_the_tool() =>
        Assert.Equal("--rank 8", new CommandLineArguments().AddOption("--weights", "").AddOption("--rank", "8").ToString());

    [UnixFact]
    public void A_real_process_receives_the_arguments_as_given()
    {
        string[] arguments =
        [
            "", "a b", "\"", "\\", "a\\", "a\\\\\" b\\", "tab\there", "Größe ☃", "'single'", "$HOME `x` *", "-x=1;y@z"
        ];
        var line = new CommandLineArguments().Add("-c").Add("for argument in \"$@\"; do printf '%s\\0' \"$argument\"; done").Add("sh");
        foreach (string argument in arguments)
        {
            line.Add(argument);
        }

        using Process process = Process.Start(new ProcessStartInfo("sh", line.ToString()) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(arguments, output.Split('\0')[..^1]);
    }
}
