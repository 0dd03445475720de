using System.Globalization;
using System.Net;
using System.Text;
using Zqfp.Evaluation;

namespace Zqfp.Quantization;

/// <summary>
/// Draws the increases of perplexity with their intervals: one row a configuration, as an SVG file that needs nothing else.
/// </summary>
internal static class SweepPlot
{
    private const int Names = 300;
    private const int Width = 520;
    private const int Margin = 70;
    private const int RowHeight = 22;
    private const int Top = 50;
    private const int Ticks = 6;

    /// <summary>The drawing.</summary>
    public static string Draw(SweepReport report)
    {
        double least = Math.Min(0, report.Rows.Min(row => Ends(row).Low));
        double step = Step(Math.Max(report.Rows.Max(row => Ends(row).High), 1e-6) - least);
        double from = Math.Floor(least / step) * step;
        double most = Math.Max(from + step, Math.Ceiling(report.Rows.Max(row => Ends(row).High) / step) * step);
        double X(double increase) => Names + (Width * (increase - from) / (most - from));
        int height = Top + (RowHeight * report.Rows.Count) + 30;
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture,
            $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Names + Width + Margin} {height}\" font-family=\"sans-serif\" "
            + $"font-size=\"12\">\n");
        svg.Append(CultureInfo.InvariantCulture,
            $"<title>Increase of perplexity over the float model</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
        svg.Append(CultureInfo.InvariantCulture,
            $"<text x=\"{Names}\" y=\"18\">increase of perplexity over the float model, 95 % interval; hollow: simulated</text>\n");
        for (double tick = from; tick <= most + (step / 2); tick += step)
        {
            svg.Append(CultureInfo.InvariantCulture,
                $"<line x1=\"{X(tick):F1}\" y1=\"{Top - 8}\" x2=\"{X(tick):F1}\" y2=\"{height - 22}\" "
                + $"stroke=\"{(Math.Abs(tick) < step / 2 ? "#888" : "#ddd")}\"/>\n");
            svg.Append(CultureInfo.InvariantCulture,
                $"<text x=\"{X(tick):F1}\" y=\"{Top - 14}\" text-anchor=\"middle\" fill=\"#555\">{100 * tick:0.##} %</text>\n");
        }

        for (int i = 0; i < report.Rows.Count; i++)
        {
            Append(svg, report.Rows[i], Top + (RowHeight * i) + (RowHeight / 2), X);
        }

        return svg.Append("</svg>\n").ToString();
    }

    private static void Append(StringBuilder svg, SweepRow row, int y, Func<double, double> x)
    {
        (double low, double high) = Ends(row);
        double increase = row.Evaluation.Against!.PerplexityIncrease;
        svg.Append(CultureInfo.InvariantCulture,
            $"<text x=\"{Names - 10}\" y=\"{y + 4}\" text-anchor=\"end\">{WebUtility.HtmlEncode(row.Name)}</text>\n");
        svg.Append(CultureInfo.InvariantCulture,
            $"<line x1=\"{x(low):F1}\" y1=\"{y}\" x2=\"{x(high):F1}\" y2=\"{y}\" stroke=\"#1f5fa8\" stroke-width=\"2\"/>\n");
        svg.Append(CultureInfo.InvariantCulture,
            $"<circle cx=\"{x(increase):F1}\" cy=\"{y}\" r=\"4\" stroke=\"#1f5fa8\" "
            + $"fill=\"{(row.IsSimulated ? "white" : "#1f5fa8")}\"><title>{100 * increase:F2} %</title></circle>\n");
    }

    private static Interval Ends(SweepRow row) => row.Evaluation.Against!.IncreaseEnds();

    /// <summary>1, 2 or 5 times a power of ten, so that there are about <see cref="Ticks"/> ticks.</summary>
    private static double Step(double range)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(range / Ticks)));
        double fraction = range / Ticks / power;
        return power * (fraction <= 1 ? 1 : fraction <= 2 ? 2 : fraction <= 5 ? 5 : 10);
    }
}
