using System.Text;

namespace Zqfp.Tool.Tests;

/// <summary>Whatever a model or a file is named: what reaches a console is text.</summary>
public sealed class PlainWriterTests
{
    /// <summary>Everything between which texts are drawn: what commands terminals, turns directions, ends lines, and plain text.</summary>
    private static readonly string[] Parts =
    [
        "\u001b[2J", "\u001b[31m", "\u001b[0m", "\u001b[34m", "\u001b]0;title\u0007", "\u001b", "\u009b31m", "\r", "\r\n", "\n", "\t",
        "\b", "\0", "\u007f", "\u202e", "\u2066", "\u2069", "\r\u001b[K", "name", "\u00e9", "\U0001F600", " ",
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Elsewhere_than_on_a_terminal_no_control_character_passes(int seed)
    {
        var random = new Random(seed);
        for (int i = 0; i < 2000; i++)
        {
            string text = Draw(random);
            string written = Written(text, isTerminal: false, random.Next(4));
            AssertPlain(written, text);
        }
    }

    [Fact]
    public void On_a_terminal_only_our_colors_pass_and_a_line_begun_anew()
    {
        var random = new Random(3);
        for (int i = 0; i < 4000; i++)
        {
            string text = Draw(random);
            string written = Written(text, isTerminal: true, random.Next(2));
            if (written.StartsWith(PlainWriter.LineAnew, StringComparison.Ordinal))
            {
                Assert.StartsWith(PlainWriter.LineAnew, text, StringComparison.Ordinal);
                written = written[PlainWriter.LineAnew.Length..];
            }

            string plain = written.Replace("\u001b[0m", "", StringComparison.Ordinal).Replace("\u001b[31m", "", StringComparison.Ordinal);
            AssertPlain(plain, text);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Text_without_control_characters_passes_as_it_is(bool isTerminal)
    {
        const string Text = "Model '/m\u00f6dels/\u65e5\u672c.onnx': 5 % \u2013 \U0001F600\n\tdone";
        Assert.Equal(Text, Written(Text, isTerminal, 0));
    }

    [Theory]
    [InlineData((int)Color.Red)]
    [InlineData((int)Color.Green)]
    [InlineData((int)Color.Yellow)]
    public void Our_own_colors_pass_on_a_terminal_alone(int color)
    {
        string painted = $"a \u001b[{color}mb\u001b[0m c";
        Assert.Equal(painted, Written(painted, isTerminal: true, 0));
        Assert.Equal("a \uFFFD[" + color + "mb\uFFFD[0m c", Written(painted, isTerminal: false, 0));
    }

    private static string Written(string text, bool isTerminal, int way)
    {
        var inner = new StringWriter { NewLine = "\n" };
        using var writer = new PlainWriter(inner, isTerminal);
        switch (way)
        {
            case 0:
                writer.Write(text);
                break;
            case 1:
                writer.WriteLine(text);
                break;
            case 2:
                writer.Write(text.ToCharArray(), 0, text.Length);
                break;
            default:
                foreach (char value in text)
                {
                    writer.Write(value);
                }

                break;
        }

        return inner.ToString();
    }

    private static void AssertPlain(string written, string text) => Assert.All(written, value => Assert.True(
        value is '\n' or '\t' || (!char.IsControl(value) && value is not (>= '\u202A' and <= '\u202E' or >= '\u2066' and <= '\u2069')),
        $"U+{(int)value:X4} of '{Escaped(text)}' passed."));

    private static string Draw(Random random)
    {
        var text = new StringBuilder();
        for (int i = random.Next(1, 8); i > 0; i--)
        {
            text.Append(random.Next(4) == 0 ? ((char)random.Next(0xD800)).ToString() : Parts[random.Next(Parts.Length)]);
        }

        return text.ToString();
    }

    private static string Escaped(string text) => string.Concat(text.Select(value => $"\\u{(int)value:x4}"));
}
