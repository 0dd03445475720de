using System.Text;
using Zqfp.Quantization;
using static Zqfp.Reporting.HtmlText;

namespace Zqfp.Reporting;

/// <summary>The bytes of the model's files before and after, each as a bar of its parts. A weight that layers share counts once.</summary>
internal static class SizeSection
{
    private const string Rest = "everything else (embedding, head, norms, graph)";
    private const string RestWithout = "everything else (norms, graph, what stays float)";

    public static void Append(StringBuilder page, QuantizeReport quantization)
    {
        LayerReport[] stored = [.. quantization.Layers.Where(layer => layer.SharesWeightOf is null)];
        double all = Math.Max(quantization.OriginalBytes, quantization.QuantizedBytes);
        (string, string, double)[] before = stored.All(layer => layer.FloatBytes > 0)
            ?
            [
                ("blue", "weights to quantize", stored.Sum(layer => layer.FloatBytes)),
                ("green", "embedding", quantization.Embeddings.Where(table => table.SharesWeightOf is null).Sum(table => table.FloatBytes)),
            ]
            : [];
        (string, string, double)[] after = stored.All(layer => layer.Bytes is not null)
            ?
            [
                ("blue", "codes", stored.Sum(layer => layer.Bytes!.Codes)),
                ("teal", "scales", stored.Sum(layer => layer.Bytes!.Scales)),
                ("amber", "low-rank corrections", stored.Sum(layer => layer.Bytes!.Correction)),
                ("green", "embedding", quantization.Embeddings.Sum(table => table.Bytes)),
            ]
            : [("blue", "quantized weights", stored.Sum(layer => layer.BitsPerWeight * layer.Rows * layer.Columns / 8))];
        page.Append("<h2>Where the bytes are</h2>\n");
        string rest = quantization.Embeddings.Count > 0 ? RestWithout : Rest;
        Bar(page, "Before", before, quantization.OriginalBytes, all, rest);
        Bar(page, "After", after, quantization.QuantizedBytes, all, rest);
    }

    /// <summary>
    /// The parts, and what the files have beside them. Results from before shared weights were told apart may name more than there is.
    /// </summary>
    private static void Bar(StringBuilder page, string when, (string Color, string Name, double Bytes)[] parts, double files, double whole,
        string others)
    {
        double rest = Math.Max(0, files - parts.Sum(part => part.Bytes));
        (string Color, string Name, double Bytes)[] shown =
        [
            .. parts.Where(part => part.Bytes > 0), ("grey", parts.Length > 0 ? others : "all of it", rest)
        ];
        page.Append($"<div class=\"key\"><b>{when}: {Megabytes(files)}</b>")
            .Append(string.Concat(shown.Select(part => $"<span><i class=\"{part.Color}\"></i>{part.Name} {Megabytes(part.Bytes)}</span>")));
        page.Append("</div>\n<div class=\"stack\">")
            .Append(string.Concat(shown.Select(part => $"<i class=\"{part.Color}\" style=\"width:{Width(part.Bytes, whole)}\"></i>")))
            .Append("</div>\n");
    }
}
