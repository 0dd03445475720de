using System.Globalization;
using System.Net;
using System.Text;
using Zqfp.Pipeline.Diagnostics;
using Zqfp.Pipeline.Evaluate;
using Zqfp.Pipeline.Gate;
using Zqfp.Pipeline.Quantize;

namespace Zqfp.Pipeline.Report;

/// <summary>The page: figures, where the loss comes from, layers, sizes, how it was made.</summary>
internal static class HtmlReport
{
    private const string Style = """
        :root { color-scheme: light dark; --ink: #1c2430; --soft: #66707f; --line: #dfe4ea; --paper: #ffffff; --card: #f5f7fa; --blue: #1f5fa8; --amber: #c87a12; --green: #1d7d46; --red: #b3261e; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #98a2b3; --line: #313a47; --paper: #151a21; --card: #1e252f; --blue: #6aa8ee; --amber: #e9a84a; --green: #58c489; --red: #f2847c; } }
        body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
        h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; } p { margin: .3rem 0; } .soft { color: var(--soft); }
        .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; margin-top: 1.2rem; }
        .card { background: var(--card); border-radius: .5rem; padding: .8rem 1rem; } .card b { display: block; font-size: 1.35rem; } .card span { color: var(--soft); }
        .passed { color: var(--green); } .failed { color: var(--red); }
        table { border-collapse: collapse; width: 100%; font-size: .9rem; } th { text-align: left; color: var(--soft); font-weight: 500; }
        th, td { padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); } .n { text-align: right; font-variant-numeric: tabular-nums; }
        .bar { background: var(--line); border-radius: 3px; height: .7rem; min-width: 6rem; } .bar i { display: block; height: 100%; border-radius: 3px; background: var(--blue); }
        .stack { display: flex; height: 1.4rem; border-radius: 4px; overflow: hidden; margin: .3rem 0; } .stack i { display: block; } .q { background: var(--blue); } .o { background: var(--amber); } .g { background: var(--line); }
        svg { width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 11px; } svg .dot { fill: var(--blue); } svg .axis { stroke: var(--line); }
        """;

    /// <summary>The whole file.</summary>
    public static string Render(QuantizeReport quantization, GateResult? gate)
    {
        string model = Path.GetFileName(quantization.Output);
        var page = new StringBuilder();
        page.Append(CultureInfo.InvariantCulture, $"<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{Text(model)}: quantized</title>\n<style>\n{Style}\n</style>\n");
        page.Append(CultureInfo.InvariantCulture, $"<h1>{Text(model)}</h1>\n<p class=\"soft\">{Text(quantization.Recipe)}</p>\n");
        if (gate is not null)
        {
            page.Append(gate.Failure is { } failure ? $"<p class=\"failed\">{Text(failure.Message)}</p>\n" : "<p class=\"passed\">The gate passed.</p>\n");
        }

        AppendCards(page, quantization, gate);
        AppendSizes(page, quantization);
        AppendLayers(page, quantization);
        if (gate is not null)
        {
            AppendWindows(page, gate);
        }

        AppendMaking(page, quantization, gate);
        return page.Append("</html>\n").ToString();
    }

    private static void AppendCards(StringBuilder page, QuantizeReport quantization, GateResult? gate)
    {
        page.Append("<div class=\"cards\">\n");
        if (gate is not null)
        {
            Comparison comparison = gate.Comparison;
            Card(page, $"{Number(gate.Float.Perplexity, "F3")} &rarr; {Number(gate.Quantized.Perplexity, "F3")}", "perplexity, float and quantized");
            Card(page, Percent(comparison.PerplexityIncrease), comparison.IncreaseInterval is { } interval ? $"increase; 95 % interval {Percent(interval.Low)} to {Percent(interval.High)}" : "increase");
            if (comparison.Divergence is { } divergence)
            {
                Card(page, Number(100 * divergence.Top1Agreement, "F1") + " %", $"top-1 agreement; KL divergence {Number(divergence.KullbackLeibler, "0.####")} nats a token");
            }
        }

        Card(page, Number(quantization.BitsPerWeight, "F2"), "bits per weight, scales and corrections included");
        Card(page, $"{Megabytes(quantization.OriginalBytes)} &rarr; {Megabytes(quantization.QuantizedBytes)} MB", "size of the model's files");
        Card(page, quantization.Layers.Count.ToString(CultureInfo.InvariantCulture), "quantized layers");
        page.Append("</div>\n");
    }

    private static void AppendSizes(StringBuilder page, QuantizeReport quantization)
    {
        double weights = quantization.Layers.Sum(layer => layer.BitsPerWeight * layer.Rows * layer.Columns / 8);
        double all = Math.Max(quantization.OriginalBytes, quantization.QuantizedBytes);
        string Share(double bytes) => Number(100 * bytes / all, "F2");
        page.Append(CultureInfo.InvariantCulture, $"""
            <h2>Where the bytes are</h2>
            <p>Before, {Megabytes(quantization.OriginalBytes)} MB</p><div class="stack"><i class="g" style="width:{Share(quantization.OriginalBytes)}%"></i></div>
            <p>After: quantized weights {Megabytes(weights)} MB, everything else (embedding, head, norms) {Megabytes(quantization.QuantizedBytes - weights)} MB</p>
            <div class="stack"><i class="q" style="width:{Share(weights)}%"></i><i class="o" style="width:{Share(quantization.QuantizedBytes - weights)}%"></i></div>

            """);
    }

    private static void AppendLayers(StringBuilder page, QuantizeReport quantization)
    {
        double total = quantization.Layers.Sum(layer => layer.OutputError ?? 0);
        double largest = Math.Max(quantization.Layers.Max(layer => layer.OutputError ?? 0), double.Epsilon);
        string note = total > 0
            ? "Squared error of each layer's output on the calibration text, as a share of all. Layers of other widths and places count differently for perplexity, so it tells where to look, not what it costs."
            : "Errors are not known: the layers were quantized without calibration.";
        page.Append(CultureInfo.InvariantCulture, $"<h2>Layers</h2>\n<p class=\"soft\">{note}</p>\n<table><tr><th>layer<th class=\"n\">outputs x inputs<th class=\"n\">rank<th class=\"n\">bits<th class=\"n\">error<th class=\"n\">share<th></tr>\n");
        foreach (LayerReport layer in quantization.Layers)
        {
            string error = layer.OutputError is { } value ? Number(value, "0.###e+0") : "";
            string share = layer.OutputError is { } part && total > 0 ? Number(100 * part / total, "F1") + " %" : "";
            page.Append(CultureInfo.InvariantCulture, $"<tr><td>{Text(layer.Name)}<td class=\"n\">{layer.Rows} x {layer.Columns}<td class=\"n\">{layer.Rank}<td class=\"n\">{layer.BitsPerWeight:F2}<td class=\"n\">{error}<td class=\"n\">{share}<td><div class=\"bar\"><i style=\"width:{Number(100 * (layer.OutputError ?? 0) / largest, "F1")}%\"></i></div></tr>\n");
        }

        page.Append("</table>\n");
    }

    /// <summary>Each window a dot: its loss in the float model across, what quantization added upwards.</summary>
    private static void AppendWindows(StringBuilder page, GateResult gate)
    {
        const int Width = 640;
        const int Height = 220;
        const int Left = 46;
        (double X, double Y)[] points = [.. gate.Float.WindowLosses.Zip(gate.Quantized.WindowLosses, (loss, other) => (loss, other - loss))];
        (double left, double right) = (points.Min(point => point.X), points.Max(point => point.X));
        (double bottom, double top) = (Math.Min(0, points.Min(point => point.Y)), Math.Max(0, points.Max(point => point.Y)));
        double X(double value) => Left + ((Width - Left - 10) * (right > left ? (value - left) / (right - left) : 0.5));
        double Y(double value) => 10 + ((Height - 40) * (top > bottom ? (top - value) / (top - bottom) : 0.5));
        page.Append(CultureInfo.InvariantCulture, $"<h2>Where the loss comes from</h2>\n<p class=\"soft\">Each dot is a window of {gate.Float.Window} tokens: its loss in the float model across, what quantization added to it upwards, in nats a token.</p>\n");
        page.Append(CultureInfo.InvariantCulture, $"<svg viewBox=\"0 0 {Width} {Height}\"><line class=\"axis\" x1=\"{Left}\" x2=\"{Width - 10}\" y1=\"{Y(0):F1}\" y2=\"{Y(0):F1}\"/><text x=\"{Left - 4}\" y=\"{Y(0) + 4:F1}\" text-anchor=\"end\">0</text><text x=\"{Left - 4}\" y=\"{Y(top) + 4:F1}\" text-anchor=\"end\">{Number(top, "0.###")}</text><text x=\"{Left}\" y=\"{Height - 8}\">{Number(left, "0.##")}</text><text x=\"{Width - 10}\" y=\"{Height - 8}\" text-anchor=\"end\">{Number(right, "0.##")}</text>\n");
        for (int i = 0; i < points.Length; i++)
        {
            page.Append(CultureInfo.InvariantCulture, $"<circle class=\"dot\" cx=\"{X(points[i].X):F1}\" cy=\"{Y(points[i].Y):F1}\" r=\"2.5\"><title>window {i}: {points[i].X:F3}, {points[i].Y:+0.0000;-0.0000}</title></circle>\n");
        }

        page.Append("</svg>\n<table><tr><th>the windows that lost most<th class=\"n\">begins at token<th class=\"n\">float<th class=\"n\">quantized<th class=\"n\">added</tr>\n");
        foreach (WindowComparison window in gate.Comparison.WorstWindows)
        {
            page.Append(CultureInfo.InvariantCulture, $"<tr><td>{window.Window}<td class=\"n\">{(long)window.Window * gate.Float.Window}<td class=\"n\">{window.ReferenceLoss:F4}<td class=\"n\">{window.Loss:F4}<td class=\"n\">{window.Loss - window.ReferenceLoss:+0.0000;-0.0000}</tr>\n");
        }

        page.Append("</table>\n");
    }

    private static void AppendMaking(StringBuilder page, QuantizeReport quantization, GateResult? gate)
    {
        page.Append("<h2>How it was made</h2>\n<table>\n");
        Row(page, "recipe", quantization.Recipe);
        Row(page, "float model", quantization.Model);
        Row(page, "calibration windows", quantization.CalibrationWindows.ToString(CultureInfo.InvariantCulture));
        Row(page, "seconds", string.Join(", ", quantization.Seconds.Select(phase => $"{phase.Key} {Number(phase.Value, "F1")}")));
        if (gate is not null)
        {
            Row(page, "measured on", string.Create(CultureInfo.InvariantCulture, $"{gate.Float.Windows} windows of {gate.Float.Window} tokens, {gate.Float.Predictions} predictions"));
        }

        foreach (Diagnostic warning in quantization.Warnings.Concat(gate?.Warnings ?? []))
        {
            Row(page, $"warning {warning.Code}", warning.Message);
        }

        page.Append("</table>\n");
    }

    private static void Card(StringBuilder page, string figure, string what) => page.Append(CultureInfo.InvariantCulture, $"<div class=\"card\"><b>{figure}</b><span>{what}</span></div>\n");

    private static void Row(StringBuilder page, string name, string value) => page.Append(CultureInfo.InvariantCulture, $"<tr><th>{Text(name)}<td>{Text(value)}</tr>\n");

    private static string Text(string text) => WebUtility.HtmlEncode(text);

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    private static string Megabytes(double bytes) => Number(bytes / 1e6, "F1");

    private static string Percent(double fraction) => string.Create(CultureInfo.InvariantCulture, $"{(fraction >= 0 ? "+" : "")}{100 * fraction:F2} %");
}
