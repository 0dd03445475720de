using System.Net;
using System.Text.RegularExpressions;

namespace Zqfp.Quantization;

/// <summary>Text of models and files in Markdown, where it must be nothing but text.</summary>
internal static partial class MarkdownText
{
    /// <summary>
    /// Text that is no markup: no HTML, emphasis, image, link, table, mention, heading or list, and nothing that a viewer makes a link of.
    /// </summary>
    public static string Plain(string text)
    {
        string encoded = WebUtility.HtmlEncode(PrintableText.Line(text)).TrimStart();
        foreach (char special in @"\*_`[]!|~")
        {
            encoded = encoded.Replace($"{special}", $"\\{special}", StringComparison.Ordinal);
        }

        encoded = Host().Replace(BlockStart().Replace(encoded, @"$1\$2"), "$1&#46;");
        return encoded
            .Replace("://", "&#58;//", StringComparison.Ordinal)
            .Replace("@", "&#64;", StringComparison.Ordinal);
    }

    /// <summary>
    /// A name in a table: a code span. Its only special characters there are the backquote and the bar, which no escape is sure to hide.
    /// </summary>
    public static string Code(string name) => $"`{PrintableText.Line(name).Replace('`', '\'').Replace('|', '\u00A6')}`";

    /// <summary>What makes a block of a line that begins with it: a heading, a list, a rule.</summary>
    [GeneratedRegex(@"^(\d*)([#+\-=.):])")]
    private static partial Regex BlockStart();

    [GeneratedRegex(@"(www)\.", RegexOptions.IgnoreCase)]
    private static partial Regex Host();
}
