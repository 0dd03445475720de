using System.Globalization;
using System.Text;
using Zqfp.Evaluation;
using static Zqfp.Reporting.HtmlText;

namespace Zqfp.Reporting;

/// <summary>How far the predictions are apart, token by token.</summary>
internal static class DivergenceSection
{
    public static void Append(StringBuilder page, Divergence divergence)
    {
        page.Append("<h2>How far the predictions are apart</h2>\n<p class=\"soft\">Of each token: the divergence from the float model's "
            + "prediction in nats, and the change of the probability of the token that really follows.</p>\n<div class=\"wide\"><table>\n"
            + "<tr><th>");
        foreach (string column in (string[])
            ["mean", "max", "99.9 %", "99 %", "95 %", "90 %", "median", "10 %", "5 %", "1 %", "0.1 %", "min"])
        {
            page.Append(CultureInfo.InvariantCulture, $"<th class=\"n\">{column}");
        }

        page.Append("</tr>\n");
        Row(page, "KL divergence", divergence.KullbackLeibler, divergence.KullbackLeiblerSpread, value => Number(value, "0.#####"));
        Row(page, "probability", divergence.DeltaP, divergence.DeltaPSpread, value => Number(100 * value, "+0.00;-0.00;0") + " %");
        page.Append(CultureInfo.InvariantCulture,
            $"</table></div>\n<p class=\"soft\">Root mean square of the change of probability "
            + $"{Number(100 * divergence.RootMeanSquareDeltaP, "0.00")} %; correlation of the losses "
            + $"{Number(100 * divergence.LossCorrelation, "0.00")} %.</p>\n");
    }

    private static void Row(StringBuilder page, string what, double mean, Distribution spread, Func<double, string> format)
    {
        double[] values =
        [
            mean, spread.Maximum, spread.P999, spread.P99, spread.P95, spread.P90, spread.Median, spread.P10, spread.P5, spread.P1,
            spread.P01, spread.Minimum,
        ];
        page.Append(CultureInfo.InvariantCulture,
            $"<tr><th>{what}{string.Concat(values.Select(value => $"<td class=\"n\">{format(value)}"))}</tr>\n");
    }
}
