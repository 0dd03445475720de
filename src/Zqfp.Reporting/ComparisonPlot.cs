using System.Globalization;
using System.Text;
using Zqfp.Evaluation;
using static Zqfp.Reporting.HtmlText;

namespace Zqfp.Reporting;

/// <summary>Each model a dot: the size of its files across, the increase of perplexity upwards. Lower left is better.</summary>
internal static class ComparisonPlot
{
    private const int Width = 760;
    private const int Height = 320;
    private const int Left = 64;
    private const int Right = 24;
    private const int Top = 16;
    private const int Bottom = 44;

    /// <summary>Adds the drawing, where two models or more were measured on a text.</summary>
    public static void Append(StringBuilder page, IReadOnlyList<ReportedModel> models, IReadOnlyList<string> names)
    {
        (string Name, double Size, Comparison Measured)[] points =
        [
            .. models.Zip(names).Where(one => one.First.Gate?.Text is not null).Select(one => (
                one.Second, one.First.Quantization.QuantizedBytes / 1e6, one.First.Gate!.Text!.Comparison)),
        ];
        if (points.Length < 2)
        {
            return;
        }

        (double left, double right) = Wider(points.Min(point => point.Size), points.Max(point => point.Size));
        (double low, double high) = Wider(
            Math.Min(0, points.Min(point => point.Measured.IncreaseEnds().Low)), points.Max(point => point.Measured.IncreaseEnds().High));
        double X(double size) => Left + ((Width - Left - Right) * (size - left) / (right - left));
        double Y(double increase) => Top + ((Height - Top - Bottom) * (high - increase) / (high - low));
        page.Append(CultureInfo.InvariantCulture,
            $"<p class=\"soft\">Size of the model's files across, increase of perplexity over the float model upwards, with its 95 % "
            + $"interval. Lower and further left is better.</p>\n<div class=\"wide\"><svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" "
            + $"aria-label=\"size and increase of perplexity\">\n");
        foreach (double tick in NiceTicks.Between(100 * low, 100 * high, 6))
        {
            page.Append(CultureInfo.InvariantCulture,
                $"<line class=\"axis\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(tick / 100):F1}\" y2=\"{Y(tick / 100):F1}\"/><text "
                + $"x=\"{Left - 6}\" y=\"{Y(tick / 100) + 4:F1}\" text-anchor=\"end\">{Number(tick, "+0.###;-0.###;0")} %</text>");
        }

        foreach (double tick in NiceTicks.Between(left, right, 8))
        {
            page.Append(CultureInfo.InvariantCulture,
                $"<text x=\"{X(tick):F1}\" y=\"{Height - 24}\" text-anchor=\"middle\">{Number(tick, "0.###")}</text>");
        }

        page.Append(CultureInfo.InvariantCulture,
            $"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 6}\" text-anchor=\"middle\">MB</text>\n");
        foreach ((string name, double size, Comparison measured) in points)
        {
            (double increase, Interval interval) = (measured.PerplexityIncrease, measured.IncreaseEnds());
            bool isFarRight = X(size) > Width * 2 / 3;
            page.Append(CultureInfo.InvariantCulture,
                $"<line class=\"interval\" x1=\"{X(size):F1}\" x2=\"{X(size):F1}\" y1=\"{Y(interval.Low):F1}\" "
                + $"y2=\"{Y(interval.High):F1}\"/><circle class=\"point\" cx=\"{X(size):F1}\" cy=\"{Y(increase):F1}\" r=\"5\"><title>"
                + $"{Escape(name)}: {Megabytes(size * 1e6)}, {SignedPercent.Fixed(increase)}</title></circle><text class=\"strong\" "
                + $"x=\"{X(size) + (isFarRight ? -10 : 10):F1}\" y=\"{Y(increase) - 8:F1}\" "
                + $"text-anchor=\"{(isFarRight ? "end" : "start")}\">{Escape(name)}</text>\n");
        }

        page.Append("</svg></div>\n");
    }

    private static (double Low, double High) Wider(double low, double high)
    {
        double more = high > low ? 0.08 * (high - low) : Math.Max(Math.Abs(high), 1e-3) / 10;
        return (low - more, high + more);
    }
}
