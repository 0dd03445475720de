using System.Globalization;
using System.Text;

namespace Zqfp.Reporting;

/// <summary>What every page begins and ends with. It has no script and asks for nothing, the browser's icon included.</summary>
internal static class HtmlPage
{
    /// <summary>Begins a page.</summary>
    /// <param name="title">What the browser calls it, any text.</param>
    public static StringBuilder Begin(string title) => new StringBuilder().Append(CultureInfo.InvariantCulture,
        $"<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
        + $"<link rel=\"icon\" href=\"data:,\">\n<title>{HtmlText.Escape(title)}</title>\n<style>\n{HtmlStyle.Css}\n</style>\n");

    /// <summary>The whole page.</summary>
    public static string End(StringBuilder page) => page.Append("</html>\n").ToString();
}
