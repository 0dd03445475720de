using System.Globalization;
using System.Text;
using Zqfp.Evaluation;
using static Zqfp.Reporting.HtmlText;

namespace Zqfp.Reporting;

/// <summary>What quantizing cost: the increase against its limit, and window by window.</summary>
internal static class LossSection
{
    private const int Width = 760;
    private const int Left = 56;
    private const int Right = 16;

    public static void Append(StringBuilder page, GatedText gate, double? maxIncrease)
    {
        page.Append("<h2>What it costs</h2>\n");
        AppendIncrease(page, gate, maxIncrease);
        page.Append("<h2>Where the loss comes from</h2>\n");
        AppendWindows(page, gate);
        AppendWorst(page, gate);
        if (gate.Comparison.Divergence is { } divergence)
        {
            DivergenceSection.Append(page, divergence);
        }
    }

    private static void AppendIncrease(StringBuilder page, GatedText gate, double? maxIncrease)
    {
        const int Height = 74;
        const int Line = 34;
        double increase = gate.Comparison.PerplexityIncrease;
        Interval interval = gate.Comparison.IncreaseEnds();
        double low = Math.Min(0, interval.Low);
        double high = Math.Max(Math.Max(interval.High, maxIncrease ?? 0), low + 1e-4);
        high += 0.12 * (high - low);
        double X(double value) => Left + ((Width - Left - Right) * (value - low) / (high - low));
        page.Append(CultureInfo.InvariantCulture,
            $"<p class=\"soft\">Increase of perplexity over the float model on the same "
            + $"tokens{(gate.Comparison.IncreaseInterval is null ? "" : ", with its 95 % interval")}.</p>\n<div class=\"wide\"><svg "
            + $"viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"increase of perplexity\">");
        page.Append(
            CultureInfo.InvariantCulture, $"<line class=\"axis\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Line}\" y2=\"{Line}\"/>");
        foreach (double tick in NiceTicks.Between(100 * low, 100 * high, 8))
        {
            page.Append(CultureInfo.InvariantCulture,
                $"<line class=\"axis\" x1=\"{X(tick / 100):F1}\" x2=\"{X(tick / 100):F1}\" y1=\"{Line - 5}\" y2=\"{Line + 5}\"/><text "
                + $"x=\"{X(tick / 100):F1}\" y=\"{Line + 24}\" text-anchor=\"middle\">{Number(tick, "0.####")} %</text>");
        }

        if (maxIncrease is { } limit)
        {
            page.Append(CultureInfo.InvariantCulture,
                $"<line class=\"limit\" x1=\"{X(limit):F1}\" x2=\"{X(limit):F1}\" y1=\"{Line - 14}\" y2=\"{Line + 14}\"/><text "
                + $"x=\"{X(limit):F1}\" y=\"12\" text-anchor=\"middle\">limit</text>");
        }

        page.Append(CultureInfo.InvariantCulture,
            $"<line class=\"interval\" x1=\"{X(interval.Low):F1}\" x2=\"{X(interval.High):F1}\" y1=\"{Line}\" y2=\"{Line}\"/><circle "
            + $"class=\"point\" cx=\"{X(increase):F1}\" cy=\"{Line}\" r=\"5\"/><text class=\"strong\" x=\"{X(increase):F1}\" "
            + $"y=\"{Line - 12}\" text-anchor=\"middle\">{SignedPercent.Fixed(increase)}</text></svg></div>\n");
    }

    /// <summary>Each window a dot: its loss in the float model across, what quantization added upwards.</summary>
    private static void AppendWindows(StringBuilder page, GatedText gate)
    {
        const int Height = 300;
        const int Top = 12;
        const int Bottom = 44;
        (double X, double Y)[] points =
        [
            .. gate.Float.WindowLosses.Zip(gate.Quantized.WindowLosses, (loss, other) => (loss, other - loss))
        ];
        HashSet<int> worst = [.. gate.Comparison.WorstWindows.Select(window => window.Window)];
        (double left, double right) = (points.Min(point => point.X), points.Max(point => point.X));
        (double bottom, double top) = (Math.Min(0, points.Min(point => point.Y)), Math.Max(0, points.Max(point => point.Y)));
        double X(double value) => Left + 6 + ((Width - Left - Right - 12) * (right > left ? (value - left) / (right - left) : 0.5));
        double Y(double value) => Top + ((Height - Top - Bottom) * (top > bottom ? (top - value) / (top - bottom) : 0.5));
        page.Append(CultureInfo.InvariantCulture,
            $"<p class=\"soft\">Each dot is a window of {gate.Float.Window} tokens: its loss in the float model across, what quantization "
            + $"added to it upwards, in nats a token. The dashed line is the mean.</p>\n");
        page.Append(CultureInfo.InvariantCulture,
            $"<div class=\"wide\"><svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"loss added to each window\">\n");
        foreach (double tick in NiceTicks.Between(bottom, top, 6))
        {
            page.Append(CultureInfo.InvariantCulture,
                $"<line class=\"axis\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(tick):F1}\" y2=\"{Y(tick):F1}\"/><text "
                + $"x=\"{Left - 6}\" y=\"{Y(tick) + 4:F1}\" text-anchor=\"end\">{Number(tick, "+0.####;-0.####;0")}</text>");
        }

        foreach (double tick in NiceTicks.Between(left, right, 8))
        {
            page.Append(CultureInfo.InvariantCulture,
                $"<text x=\"{X(tick):F1}\" y=\"{Height - 24}\" text-anchor=\"middle\">{Number(tick, "0.####")}</text>");
        }

        page.Append(CultureInfo.InvariantCulture,
            $"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 6}\" text-anchor=\"middle\">loss in the float model</text><line "
            + $"class=\"mean\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(gate.Comparison.LossDifference):F1}\" "
            + $"y2=\"{Y(gate.Comparison.LossDifference):F1}\"/>\n");
        for (int i = 0; i < points.Length; i++)
        {
            page.Append(CultureInfo.InvariantCulture,
                $"<circle class=\"{(worst.Contains(i) ? "worst" : "dot")}\" cx=\"{X(points[i].X):F1}\" cy=\"{Y(points[i].Y):F1}\" "
                + $"r=\"3.2\"><title>window {i}: {points[i].X:F3}, {points[i].Y:+0.0000;-0.0000}</title></circle>\n");
        }

        page.Append("</svg></div>\n");
    }

    private static void AppendWorst(StringBuilder page, GatedText gate)
    {
        page.Append("<div class=\"wide\"><table><tr><th>the windows that lost most<th class=\"n\">begins at token<th class=\"n\">float<th "
            + "class=\"n\">quantized<th class=\"n\">added</tr>\n");
        foreach (WindowComparison window in gate.Comparison.WorstWindows)
        {
            page.Append(CultureInfo.InvariantCulture,
                $"<tr><td>{window.Window}<td class=\"n\">{(long)window.Window * gate.Float.Window}<td "
                + $"class=\"n\">{window.ReferenceLoss:F4}<td class=\"n\">{window.Loss:F4}<td "
                + $"class=\"n\">{window.Loss - window.ReferenceLoss:+0.0000;-0.0000}</tr>\n");
        }

        page.Append("</table></div>\n");
    }
}
