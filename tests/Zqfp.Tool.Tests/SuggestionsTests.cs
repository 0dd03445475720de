using System.CommandLine;

namespace Zqfp.Tool.Tests;

public class SuggestionsTests
{
    [Theory]
    [InlineData("quantise", "quantize")]
    [InlineData("qunatize", "quantize")]
    [InlineData("eval", null)]
    [InlineData("gat", "gate")]
    [InlineData("verfy", "verify")]
    [InlineData("banana", null)]
    public void The_nearest_command_is_suggested_when_it_is_near(string word, string? expected) =>
        Assert.Equal(expected, Suggestions.For(
            word, new RootCommand { new Command("quantize"), new Command("evaluate"), new Command("gate"), new Command("verify") }));

    [Theory]
    [InlineData("--tokeniser", "--tokenizer")]
    [InlineData("--wights", "--weights")]
    [InlineData("--banana", null)]
    public void The_nearest_option_is_suggested_when_it_is_near(string word, string? expected) =>
        Assert.Equal(expected,
            Suggestions.For(word, new Command("quantize")
            {
                new Option<string>("--tokenizer"),
                new Option<string>("--weights"),
                new Option<string>("--output", "-o")
            }));

    [Theory]
    [InlineData("", "", 0)]
    [InlineData("abc", "", 3)]
    [InlineData("abc", "abd", 1)]
    [InlineData("abc", "acb", 1)]
    [InlineData("kitten", "sitting", 3)]
    public void Distances_count_letters(string a, string b, int expected) => Assert.Equal(expected, Spelling.Distance(a, b));

    [Theory]
    [InlineData("quantise model.onnx", "There is no command 'quantise'. Did you mean 'quantize'?")]
    [InlineData("evaluate m.onnx --text t.txt --tokeniser x", "'--tokeniser'. Did you mean '--tokenizer'?")]
    [InlineData("banana", "There is no command 'banana'. Run 'dotnet zqfp --help'")]
    public void A_mistyped_word_is_a_usage_error_that_says_what_was_meant(string arguments, string expected)
    {
        ToolProcess result = ToolProcess.Run(arguments.Split(' '));

        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(expected, result.Errors[0], StringComparison.Ordinal);
    }

    [Fact]
    public void Every_exit_code_is_documented()
    {
        string documentation = File.ReadAllText(Repository.Path("docs/command-line.md"));
        Assert.All(ExitCodes.All, entry => Assert.Contains($"\n| {entry.Code} | ", documentation, StringComparison.Ordinal));
    }
}
