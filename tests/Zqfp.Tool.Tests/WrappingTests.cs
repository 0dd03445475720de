
namespace Zqfp.Tool.Tests;

public class WrappingTests
{
    [Theory]
    [InlineData("short", 40, "short")]
    [InlineData("a line of words that is broken at its spaces", 30, "a line of words that is broken\n  at its spaces")]
    [InlineData("  an indented line of words goes on further in", 32, "  an indented line of words goes\n    on further in")]
    [InlineData("one\ntwo", 40, "one\ntwo")]
    [InlineData("a name_that_is_far_longer_than_a_whole_line_of_text stays whole", 30,
        "a\n  name_that_is_far_longer_than_a_whole_line_of_text\n  stays whole")]
    [InlineData("a terminal this narrow breaks lines itself", 20, "a terminal this narrow breaks lines itself")]
    public void Lines_are_broken_at_spaces(string text, int width, string expected) => Assert.Equal(expected, Wrapping.Wrap(text, width));

    [Fact]
    public void What_is_no_terminal_gets_text_as_it_is()
    {
        string text = string.Join(' ', Enumerable.Repeat("word", 100));
        Assert.Equal(text, Wrapping.Wrap(text, width: null));
    }

    [Fact]
    public void A_tables_last_column_continues_below_itself()
    {
        var table = new TextTable(["what", "size", "found"], 1);
        table.Add("first", "10", "words that need a second line here");
        table.Add("second", "7", "few");
        Assert.Equal("what    size  found\nfirst     10  words that need a second\n              line here\nsecond     7  few\n",
            table.ToString(40));
    }
}
