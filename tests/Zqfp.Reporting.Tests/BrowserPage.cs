using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Zqfp.Reporting.Tests;

/// <summary>What Chromium made of a page.</summary>
/// <param name="Console">Lines that the page wrote to the console, errors included.</param>
/// <param name="Requests">Files and addresses the page asked for.</param>
/// <param name="VisibleCircles">Circles of drawings that take room.</param>
/// <param name="ContentWidth">Pixels the page takes.</param>
/// <param name="ViewportWidth">Pixels there are.</param>
internal sealed partial record BrowserPage(string Console, int Requests, int VisibleCircles, int ContentWidth, int ViewportWidth)
{
    /// <summary>Measures by a script that is added here; the page has none.</summary>
    private const string Script = """
        <script>
        const circles = [...document.querySelectorAll("circle")].filter(circle => circle.getBoundingClientRect().width > 0);
        document.body.setAttribute("data-seen", [performance.getEntriesByType("resource").length, circles.length, document.documentElement.scrollWidth, window.innerWidth].join(" "));
        </script>
        """;

    /// <summary>Opens <paramref name="html"/> in a window of this width, with a profile of its own in <paramref name="folder"/>.</summary>
    public static BrowserPage Open(string html, string folder, int width)
    {
        string path = Path.Combine(folder, "page.html");
        File.WriteAllText(path, html.Replace("</html>", Script + "</html>", StringComparison.Ordinal));
        string[] arguments =
        [
            "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync",
            $"--user-data-dir={Path.Combine(folder, "profile")}", $"--window-size={width},800", "--enable-logging=stderr",
            "--dump-dom", new Uri(path).AbsoluteUri,
        ];
        using Process process = Process.Start(new ProcessStartInfo(
            BrowserFactAttribute.Browser!, arguments)
        { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string dom = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        string log = errors.GetAwaiter().GetResult();
        Match seen = Seen().Match(dom);
        Assert.True(seen.Success, $"Chromium did not show the page: {log}");
        int[] figures = [.. seen.Groups[1].Value.Split(' ').Select(figure => int.Parse(figure, CultureInfo.InvariantCulture))];
        string console = string.Join('\n', log.Split('\n').Where(line => line.Contains(":CONSOLE", StringComparison.Ordinal)));
        return new BrowserPage(console, figures[0], figures[1], figures[2], figures[3]);
    }

    [GeneratedRegex("data-seen=\"([0-9 ]+)\"")]
    private static partial Regex Seen();
}
