using System.Globalization;
using System.Text;
using Zqfp.Evaluation;
using Zqfp.Quantization;
using static Zqfp.Reporting.HtmlText;

namespace Zqfp.Reporting;

/// <summary>The page: the verdict and its figures, loss, bytes, layers, activations, and how it was made.</summary>
internal static class HtmlReport
{
    /// <summary>The whole file.</summary>
    public static string Render(QuantizeReport quantization, GateResult? gate)
    {
        string model = Path.GetFileName(quantization.Output);
        StringBuilder page = HtmlPage.Begin($"{model}: quantized");
        page.Append(CultureInfo.InvariantCulture, $"<h1>{Escape(model)}</h1>\n<p class=\"soft\">{Escape(quantization.Recipe)}</p>\n");
        if (gate is not null)
        {
            page.Append(gate.Failure is { } failure
                ? $"<div class=\"verdict failed\">The gate failed</div><p class=\"failed\">{Escape(failure.Message)}</p>\n"
                : "<div class=\"verdict passed\">The gate passed</div>\n");
        }

        AppendCards(page, quantization, gate);
        if (gate?.Text is { } text)
        {
            LossSection.Append(page, text, gate.MaxPerplexityIncrease);
        }

        if (gate is { Tasks.Count: > 0 })
        {
            TaskSection.Append(page, gate.Tasks);
        }

        SizeSection.Append(page, quantization);
        LayerSection.Append(page, quantization.Layers);
        ActivationSection.Append(page, quantization.Layers);
        AppendMaking(page, quantization, gate);
        return HtmlPage.End(page);
    }

    private static void AppendCards(StringBuilder page, QuantizeReport quantization, GateResult? gate)
    {
        page.Append("<div class=\"cards\">\n");
        if (gate?.Text is { } text)
        {
            Comparison comparison = text.Comparison;
            Card(page, $"{Number(text.Float.Perplexity, "F3")} &rarr; {Number(text.Quantized.Perplexity, "F3")}",
                "perplexity, float and quantized");
            Card(page, SignedPercent.Fixed(comparison.PerplexityIncrease), comparison.IncreaseInterval is { } interval
                ? $"increase; 95 % interval {SignedPercent.Fixed(interval.Low)} to {SignedPercent.Fixed(interval.High)}"
                : "increase");
            if (comparison.Divergence is { } divergence)
            {
                Card(page, Number(100 * divergence.Top1Agreement, "F1") + " %",
                    $"top-1 agreement; KL divergence {Number(divergence.KullbackLeibler, "0.####")} nats a token");
            }
        }

        Card(page, $"{Number(quantization.OriginalBytes / 1e6, "F1")} &rarr; {Megabytes(quantization.QuantizedBytes)}",
            "size of the model's files");
        Card(page, Number(quantization.BitsPerWeight, "F2"), "bits per weight, scales and corrections included");
        Card(page, quantization.Layers.Count.ToString(CultureInfo.InvariantCulture), "quantized layers");
        page.Append("</div>\n");
    }

    private static void AppendMaking(StringBuilder page, QuantizeReport quantization, GateResult? gate)
    {
        page.Append("<h2>How it was made</h2>\n<div class=\"wide\"><table>\n");
        Row(page, "recipe", quantization.Recipe);
        Row(page, "float model", quantization.Model);
        foreach ((string name, string value) in quantization.Options)
        {
            Row(page, name, value);
        }

        Row(page, "calibration windows", quantization.CalibrationWindows.ToString(CultureInfo.InvariantCulture));
        Row(page, "seconds", string.Join(", ", quantization.Seconds.Select(phase => $"{phase.Key} {Number(phase.Value, "F1")}")));
        if (gate?.Text is { } text)
        {
            Row(page, "measured on", string.Create(CultureInfo.InvariantCulture,
                $"{text.Float.Windows} windows of {text.Float.Window} tokens, {text.Float.Predictions} predictions"));
        }

        foreach (Diagnostic warning in quantization.Warnings.Concat(gate?.Warnings ?? []))
        {
            Row(page, $"warning {warning.Code}", warning.Message);
        }

        page.Append("</table></div>\n");
    }

    private static void Card(StringBuilder page, string figure, string what) => page.Append(
        CultureInfo.InvariantCulture, $"<div class=\"card\"><b>{figure}</b><span>{what}</span></div>\n");

    private static void Row(StringBuilder page, string name, string value) => page.Append(
        CultureInfo.InvariantCulture, $"<tr><th>{Escape(name)}<td>{Escape(value)}</tr>\n");
}
