using System.CommandLine;

namespace Zqfp.Tool.Tests;

/// <summary>
/// What is made from the table of options is as the table says. After a change of the table run
/// <c>ZQFP_UPDATE_SNAPSHOTS=1 dotnet test tests/Zqfp.Tool.Tests</c> and review the difference.
/// </summary>
public sealed class OptionTableTests
{
    private const string CommandLinePage = "docs/command-line.md";
    private const string BuildPage = "docs/build-integration.md";
    private const string BuildProperties = "src/Zqfp.Build.Tasks/build/Zqfp.Build.Tasks.props";

    private static bool Updates => Environment.GetEnvironmentVariable("ZQFP_UPDATE_SNAPSHOTS") == "1";

    [Fact]
    public void The_schema_is_that_of_the_table() => AssertContent("src/Zqfp.Tool/zqfp.schema.json", RecipeSchema.Text());

    [Theory]
    [InlineData(CommandLinePage, "options of quantize")]
    [InlineData(CommandLinePage, "options of other commands")]
    [InlineData(BuildPage, "metadata")]
    [InlineData(BuildProperties, "metadata")]
    public void The_reference_is_that_of_the_table(string file, string block)
    {
        string expected = (file, block) switch
        {
            (CommandLinePage, "options of quantize") => OptionReference.Quantize(),
            (CommandLinePage, _) => OptionReference.Others(),
            (BuildPage, _) => OptionReference.Metadata(),
            _ => OptionReference.Properties(),
        };
        string content = File.ReadAllText(Repository.Path(file));
        string begin = $"<!-- generated: {block} -->\n";
        int first = content.IndexOf(begin, StringComparison.Ordinal) + begin.Length;
        Assert.True(first >= begin.Length, $"{file} has no place for '{block}'.");
        int last = content.LastIndexOf('\n', content.IndexOf("<!-- /generated -->", first, StringComparison.Ordinal)) + 1;
        AssertContent(file, content[..first] + expected + content[last..]);
    }

    [Fact]
    public void Names_keys_and_metadata_are_unique_where_they_are_used()
    {
        Assert.All(
            Enum.GetValues<OptionCommands>().Where(command => int.IsPow2((int)command)),
            command => Assert.Distinct(OptionTable.Of(command).Select(option => option.Name)));
        Assert.Distinct(OptionTable.InProjects.Select(option => option.Metadata));
    }

    [Fact]
    public void Every_default_is_a_value_that_is_allowed() => Assert.All(
        OptionTable.All.Where(option => option.Default is not null),
        option => Assert.Null(option.Problem(option.Default!)));

    [Fact]
    public void Every_word_of_a_choice_has_its_value()
    {
        var command = new Command("quantize");
        var options = new CommandOptions(command, OptionCommands.Quantize);
        foreach (ToolOption option in OptionTable.Of(OptionCommands.Quantize).Where(option => option.Kind == OptionKind.Choice))
        {
            foreach (string word in option.Words)
            {
                ParseResult result = command.Parse(["--output", "o", option.Name, word]);
                Assert.Empty(result.Errors);
                _ = QuantizeCommand.Read("m", options.Of(result));
            }
        }
    }

    [Theory]
    [InlineData("GroupSize", "-2", "is a whole number of at least -1, not '-2'")]
    [InlineData("WindowSeed", "x", "is a whole number, not 'x'")]
    [InlineData("Damping", "1.5", "is a number from 0 to 1, not '1.5'")]
    [InlineData("MaxPerplexity", "0", "is a positive number, not '0'")]
    [InlineData("MaxPerplexityIncrease", "5", "is a percentage such as 5%, not '5'")]
    [InlineData("Method", "GPTQ", "is one of gptq, rtn, not 'GPTQ'")]
    [InlineData("Profile", "custom, tflite", "is one or more of custom, stock, portable, qdq, simulated, not 'tflite'")]
    [InlineData("Report", "no", "is true or false, not 'no'")]
    public void A_wrong_value_is_told_with_what_it_may_be(string metadata, string value, string expected) =>
        Assert.Equal(expected, OptionTable.InProjects.Single(option => option.Metadata == metadata).Problem(value));

    private static void AssertContent(string file, string expected)
    {
        string path = Repository.Path(file);
        if (Updates)
        {
            File.WriteAllText(path, expected);
        }

        Assert.Equal(File.ReadAllText(path), expected);
    }
}
