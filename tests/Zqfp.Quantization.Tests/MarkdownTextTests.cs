using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace Zqfp.Quantization.Tests;

/// <summary>Whatever a model is named: in Markdown it is text.</summary>
public sealed partial class MarkdownTextTests
{
    private static readonly string[] Parts =
    [
        "![x](http://evil/x.png)", "[x](javascript:alert(1))", "<img src=x onerror=alert(1)>", "<!--", "http://evil", "https://evil",
        "www.evil.org", "WWW.EVIL.ORG", "@somebody", "a@b.org", "|", "\\|", "\\", "`", "``", "*", "**bold**", "_", "~~", "!", "[", "]",
        "&lt;", "&#91;", "&", "\n", "\r\n", "\n\n# title", "\u202e", "\u001b[2J", "\u2028", "# x", "- x", "+ x", "1. x", "===",
        "---", "    x", "name", "\u00e9",
    ];

    [Fact]
    public void Plain_text_has_no_markup_left_and_loses_nothing()
    {
        var random = new Random(1);
        for (int i = 0; i < 5000; i++)
        {
            string text = Draw(random);
            string plain = MarkdownText.Plain(text);
            string trace = $"'{text}' became '{plain}'";

            // Without what is escaped there is nothing that means anything, and no two parts of an address stand together.
            string bare = Entity().Replace(Escape().Replace(plain, "?"), "?");
            Assert.True(bare.IndexOfAny([.. @"\*_`[]!|~<>&@"]) < 0, trace);
            Assert.DoesNotContain("://", bare, StringComparison.Ordinal);
            Assert.DoesNotContain("www.", bare, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotMatch(@"^\s|^[#+\-=]|^\d+[.)]", plain);
            Assert.All(plain, value => Assert.True(!char.IsControl(value) && value is not ('\u202e' or '\u2028'), trace));

            // A viewer shows what was written.
            Assert.Equal(PrintableText.Line(text).TrimStart(), WebUtility.HtmlDecode(Escape().Replace(plain, "$1")));
        }
    }

    [Fact]
    public void A_name_in_a_table_stays_in_its_cell_and_its_span()
    {
        var random = new Random(2);
        for (int i = 0; i < 5000; i++)
        {
            string code = MarkdownText.Code(Draw(random));
            Assert.Equal('`', code[0]);
            Assert.Equal('`', code[^1]);
            Assert.True(code[1..^1].IndexOfAny(['`', '|', '\n', '\r', '\u2028']) < 0, code);
            Assert.DoesNotContain(code, char.IsControl);
        }
    }

    private static string Draw(Random random)
    {
        var text = new StringBuilder();
        for (int i = random.Next(1, 7); i > 0; i--)
        {
            text.Append(random.Next(4) == 0 ? ((char)random.Next(0x20, 0x7F)).ToString() : Parts[random.Next(Parts.Length)]);
        }

        return text.ToString();
    }

    [GeneratedRegex(@"\\([!-/:-@[-`{-~])")]
    private static partial Regex Escape();

    [GeneratedRegex("&(#[0-9]+|[a-z]+);")]
    private static partial Regex Entity();
}
