using System.Text;
using Zqfp.Quantization;
using static Zqfp.Reporting.HtmlText;

namespace Zqfp.Reporting;

/// <summary>What each layer's inputs range over: a strip a value that layers read, on one logarithmic axis.</summary>
internal static class ActivationSection
{
    /// <summary>A channel that reaches this many times the usual one's magnitude is pointed at.</summary>
    private const double Outlier = 10;

    public static void Append(StringBuilder page, IReadOnlyList<LayerReport> layers)
    {
        List<List<LayerReport>> inputs = Group([.. layers.Where(layer => layer.Activations is { Largest: > 0 })]);
        if (inputs.Count == 0)
        {
            return;
        }

        var axis = new Axis(inputs.Select(input => input[0].Activations!));
        page.Append("""
            <h2>What the activations range over</h2>
            <p class="soft">Magnitudes of what layers read in calibration. Each token is scaled by its own largest, so what counts is how far that stands above the usual:
            INT8's step is 1/127 of it, while FP8 (E4M3) keeps four significant bits down to 1/28672.</p>
            <div class="key"><span><i style="background:var(--soft)"></i>root mean square</span><span><i class="blue" style="opacity:.45"></i>a token's largest, nine tokens in ten</span><span><i class="blue"></i>its median</span><span><i class="amber"></i>largest of all</span></div>
            <div class="wide"><table><tr><th>input of<th><div class="strip">
            """);
        page.Append(string.Concat(
            axis.Decades.Select(decade => $"<span style=\"left:{axis.Place(Math.Pow(10, decade))}\">{Decade(decade)}</span>")));
        page.Append("</div><th class=\"n\">largest<th class=\"n\">typical<br>token max<th class=\"n\">token max<br>over rms<th "
            + "class=\"n\">worst channel<br>over median</tr>\n");
        foreach (List<LayerReport> input in inputs)
        {
            ActivationRange range = input[0].Activations!;
            double outlier = range.Largest / range.ChannelMedian;
            page.Append($"<tr><td class=\"name\">{Escape(LayerNames.Of(input))}<td><div class=\"strip\"><i class=\"line\"></i>");
            page.Append(
                $"<i class=\"band\" style=\"left:{axis.Place(range.TokenLow)};right:{axis.PlaceFromRight(range.TokenHigh)}\"></i><i "
                + $"class=\"rms\" style=\"left:{axis.Place(range.Rms)}\"></i><i class=\"middle\" "
                + $"style=\"left:{axis.Place(range.TokenMedian)}\"></i><i class=\"top\" "
                + $"style=\"left:{axis.Place(range.Largest)}\"></i></div>");
            page.Append($"<td class=\"n\">{Short(range.Largest)}<td class=\"n\">{Short(range.TokenMedian)}<td "
                + $"class=\"n\">{Short(range.TokenMedian / range.Rms)}<td "
                + $"class=\"n{(outlier >= Outlier ? " hot" : "")}\">{(range.ChannelMedian > 0 ? Short(outlier) : "")}</tr>\n");
        }

        page.Append("</table></div>\n");
    }

    /// <summary>Layers one after another that read the same value have the same range, and share a strip.</summary>
    private static List<List<LayerReport>> Group(IReadOnlyList<LayerReport> layers)
    {
        List<List<LayerReport>> groups = [];
        foreach (LayerReport layer in layers)
        {
            if (groups.Count > 0 && groups[^1][0].Activations == layer.Activations)
            {
                groups[^1].Add(layer);
            }
            else
            {
                groups.Add([layer]);
            }
        }

        return groups;
    }

    private static string Decade(int decade) => decade is >= -3 and <= 4
        ? Number(Math.Pow(10, decade), "0.###")
        : $"1e{Number(decade, "0")}";

    /// <summary>A logarithmic axis over whole decades that hold everything shown.</summary>
    private sealed class Axis
    {
        private readonly int _low;
        private readonly int _high;

        public Axis(IEnumerable<ActivationRange> ranges)
        {
            double[] values =
            [
                .. ranges.SelectMany(range => (double[])[range.Largest, range.TokenLow, range.Rms]).Where(value => value > 0)
            ];
            _low = (int)Math.Floor(Math.Log10(values.Min()));
            _high = Math.Max(_low + 1, (int)Math.Ceiling(Math.Log10(values.Max())));
        }

        public IEnumerable<int> Decades => Enumerable.Range(_low, _high - _low + 1);

        public string Place(double value) => Width(Share(value), 1);

        public string PlaceFromRight(double value) => Width(1 - Share(value), 1);

        private double Share(double value) => value > 0 ? (Math.Log10(value) - _low) / (_high - _low) : 0;
    }
}
