using System.Net;

namespace Zqfp.Quantization;

/// <summary>Text of models and files in Markdown, where it must be nothing but text.</summary>
internal static class MarkdownText
{
    /// <summary>
    /// Text that is no markup: no HTML, emphasis, image, link, table or mention, and nothing that a viewer makes a link of.
    /// </summary>
    public static string Plain(string text)
    {
        string encoded = WebUtility.HtmlEncode(PrintableText.Line(text));
        foreach (char special in @"\*_`[]!|~")
        {
            encoded = encoded.Replace($"{special}", $"\\{special}", StringComparison.Ordinal);
        }

        return encoded
            .Replace("://", "&#58;//", StringComparison.Ordinal)
            .Replace("www.", "www&#46;", StringComparison.OrdinalIgnoreCase)
            .Replace("@", "&#64;", StringComparison.Ordinal);
    }

    /// <summary>A name in a table: a code span, whose only special characters there are the bar and the backquote.</summary>
    public static string Code(string name) =>
        $"`{PrintableText.Line(name).Replace('`', '\'').Replace("|", "\\|", StringComparison.Ordinal)}`";
}
