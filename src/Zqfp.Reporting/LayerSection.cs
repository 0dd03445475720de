using System.Globalization;
using System.Text;
using Zqfp.Quantization;
using static Zqfp.Reporting.HtmlText;

namespace Zqfp.Reporting;

/// <summary>The error of each layer: where blocks repeat as a map of the model, and layer by layer.</summary>
internal static class LayerSection
{
    /// <summary>More layers than this are folded away below the map.</summary>
    private const int Unfolded = 12;

    public static void Append(StringBuilder page, IReadOnlyList<LayerReport> layers)
    {
        double total = layers.Sum(layer => layer.OutputError ?? 0);
        page.Append("<h2>Where the error is</h2>\n<p class=\"soft\">").Append(total > 0
            ? "Squared error of each layer's output on the calibration text, as a share of all. Layers of other widths and places count "
                + "differently for perplexity, so it tells where to look, not what it costs."
            : "Errors are not known: the layers were quantized without calibration.").Append("</p>\n");
        bool hasMap = total > 0 && AppendMap(page, layers, total);
        page.Append(hasMap && layers.Count > Unfolded
            ? "<details><summary>layer by layer</summary>\n"
            : "<details open><summary>layer by layer</summary>\n");
        AppendTable(page, layers, total);
        page.Append("</details>\n");
    }

    /// <summary>A row a block, a column a part. Only where every layer has its place, and there are two blocks or more.</summary>
    private static bool AppendMap(StringBuilder page, IReadOnlyList<LayerReport> layers, double total)
    {
        (LayerPlace Place, LayerReport Layer)[] placed = [.. layers.Select(layer => (Place: LayerNames.Place(layer), layer))
            .Where(entry => entry.Place is not null)
            .Select(entry => (entry.Place!, entry.layer))];
        var places = placed.GroupBy(entry => entry.Place).ToDictionary(group => group.Key, group => group.First().Layer);
        string[] parts = [.. placed.Select(entry => entry.Place.Part).Distinct()];
        int[] blocks = [.. placed.Select(entry => entry.Place.Block).Distinct().Order()];
        if (places.Count < layers.Count || blocks.Length < 2)
        {
            return false;
        }

        double largest = layers.Max(layer => layer.OutputError ?? 0);
        page.Append("<div class=\"wide\"><table class=\"grid\"><tr><th>block")
            .Append(string.Concat(parts.Select(part => $"<th>{Escape(part[(part.LastIndexOf('.') + 1)..])}")))
            .Append("</tr>\n");
        foreach (int block in blocks)
        {
            page.Append(CultureInfo.InvariantCulture, $"<tr><th>{block}");
            foreach (string part in parts)
            {
                LayerReport? layer = places.GetValueOrDefault(new LayerPlace(block, part));
                double shade = (layer?.OutputError ?? 0) / largest;
                page.Append(layer?.OutputError is { } error
                    ? $"<td style=\"background:color-mix(in srgb, var(--heat) {Number(100 * shade, "0")}%, var(--card))\" "
                        + $"title=\"{Escape(LayerNames.Of(layer))}\">{Number(100 * error / total, "F1")} %"
                    : "<td>");
            }

            page.Append("</tr>\n");
        }

        page.Append("</table></div>\n");
        return true;
    }

    private static void AppendTable(StringBuilder page, IReadOnlyList<LayerReport> layers, double total)
    {
        double largest = layers.Max(layer => layer.OutputError ?? 0);
        bool hasExperts = layers.Any(layer => layer.Tokens is not null);
        string tokens = hasExperts ? "<th class=\"n\" title=\"calibration tokens that the router sent an expert\">tokens" : "";
        page.Append("<div class=\"wide\"><table><tr><th>layer").Append(tokens)
            .Append("<th class=\"n\">outputs x inputs<th class=\"n\">rank<th class=\"n\">bits<th class=\"n\">error")
            .Append("<th class=\"n\">share<th></tr>\n");
        foreach (LayerReport layer in layers)
        {
            string error = layer.OutputError is { } value ? Number(value, "0.###e+0") : "";
            string share = layer.OutputError is { } part && total > 0 ? Number(100 * part / total, "F1") + " %" : "";
            string seen = !hasExperts ? "" : layer.Tokens is { } count ? $"<td class=\"n\">{Number(count, "0")}" : "<td>";
            string last = layer.SharesWeightOf is { } owner
                ? $"<span class=\"soft\">has the weight of {Escape(owner)}</span>"
                : $"<div class=\"bar\"><i style=\"width:{Width(layer.OutputError ?? 0, largest)}\"></i></div>";
            page.Append(CultureInfo.InvariantCulture,
                $"<tr><td class=\"name\" title=\"{Escape(layer.Name)}\">{Escape(LayerNames.Of(layer))}{seen}<td class=\"n\">{layer.Rows} x "
                + $"{layer.Columns}<td class=\"n\">{layer.Rank}<td class=\"n\">{layer.BitsPerWeight:F2}<td class=\"n\">{error}<td "
                + $"class=\"n\">{share}<td>{last}</tr>\n");
        }

        page.Append("</table></div>\n");
    }
}
