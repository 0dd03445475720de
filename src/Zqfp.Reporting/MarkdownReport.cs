using System.Globalization;
using System.Text;
using Zqfp.Evaluation;
using Zqfp.Quantization;
using static Zqfp.Quantization.MarkdownText;
using static Zqfp.Reporting.HtmlText;

namespace Zqfp.Reporting;

/// <summary>The report as Markdown, for the summary of a CI job: the verdict and the figures at once, layers and windows folded.</summary>
internal static class MarkdownReport
{
    /// <summary>The whole text.</summary>
    public static string Render(QuantizeReport quantization, GateResult? gate)
    {
        var text = new StringBuilder();
        string verdict = gate is null ? "quantized" : gate.Passed ? "the gate passed" : "the gate failed";
        text.Append(CultureInfo.InvariantCulture,
            $"## {Plain(Path.GetFileName(quantization.Output))}: {verdict}\n\n{Plain(quantization.Recipe)}\n\n");
        foreach (Diagnostic diagnostic in ((Diagnostic?[])[gate?.Failure, .. quantization.Warnings, .. gate?.Warnings ?? []])
            .OfType<Diagnostic>())
        {
            text.Append(CultureInfo.InvariantCulture,
                $"> **{diagnostic.Severity.ToString().ToLowerInvariant()} {diagnostic.Code}** {Plain(diagnostic.Message)}\n\n");
        }

        AppendFigures(text, quantization, gate);
        AppendLayers(text, quantization);
        if (gate?.Text is { } measured)
        {
            AppendWindows(text, measured);
        }

        return text.ToString();
    }

    private static void AppendFigures(StringBuilder text, QuantizeReport quantization, GateResult? gate)
    {
        text.Append("| | float | quantized | change |\n|---|---:|---:|---:|\n");
        if (gate?.Text is { } measured)
        {
            Row(text, "perplexity", Number(measured.Float.Perplexity, "F3"), Number(measured.Quantized.Perplexity, "F3"),
                GateDecision.Describe(measured.Comparison));
            if (gate.Regression is { } regression)
            {
                Row(text, "perplexity, against the baseline", "", "", GateDecision.Describe(regression));
            }

            if (measured.Comparison.Divergence is { } divergence)
            {
                Row(text, "KL divergence, nats a token", "", Number(divergence.KullbackLeibler, "0.####"), "");
                Row(text, "KL divergence, the 99th and 99.9th percentile", "",
                    $"{Number(divergence.KullbackLeiblerSpread.P99, "0.###")}, {Number(divergence.KullbackLeiblerSpread.P999, "0.###")}",
                    "");
                Row(text, "top-1 agreement", "", Number(100 * divergence.Top1Agreement, "F1") + " %", "");
            }
        }

        foreach (TaskComparison task in gate?.Tasks ?? [])
        {
            Row(text, $"accuracy on {Plain(task.Name)}, {task.Questions} questions", Number(task.ReferenceAccuracy, "F3"),
                Number(task.Accuracy, "F3"), TaskSection.Change(task));
        }

        Row(text, "size", Megabytes(quantization.OriginalBytes), Megabytes(quantization.QuantizedBytes),
            SignedPercent.Short(((double)quantization.QuantizedBytes / quantization.OriginalBytes) - 1));
        Row(text, "bits per weight", "", Number(quantization.BitsPerWeight, "F3"), "");
        text.Append('\n');
        if (gate?.Text is { Float: var floating })
        {
            text.Append(CultureInfo.InvariantCulture, $"Measured on {floating.Windows} windows of {floating.Window} tokens. ");
        }

        text.Append(quantization.CalibrationWindows > 0
            ? string.Create(CultureInfo.InvariantCulture, $"Calibrated on {quantization.CalibrationWindows} windows.\n\n")
            : "Not calibrated.\n\n");
    }

    private static void AppendLayers(StringBuilder text, QuantizeReport quantization)
    {
        double total = quantization.Layers.Sum(layer => layer.OutputError ?? 0);
        bool hasExperts = quantization.Layers.Any(layer => layer.Tokens is not null);
        text.Append(CultureInfo.InvariantCulture,
            $"<details><summary>{quantization.Layers.Count} layers, and their shares of the output error on the calibration "
            + $"text</summary>\n\n| layer |{(hasExperts ? " tokens |" : "")} outputs x inputs | rank | bits | share |\n")
            .Append(hasExperts ? "|---|---:|---:|---:|---:|---:|\n" : "|---|---:|---:|---:|---:|\n");
        foreach (LayerReport layer in quantization.Layers)
        {
            string share = layer.OutputError is { } error && total > 0 ? Number(100 * error / total, "F1") + " %" : "";
            string[] tokens = hasExperts ? [layer.Tokens is { } count ? Number(count, "0") : ""] : [];
            Row(text, [Code(LayerNames.Of(layer)), .. tokens, $"{layer.Rows} x {layer.Columns}", Number(layer.Rank, "0"),
                Number(layer.BitsPerWeight, "F2"), share]);
        }

        text.Append("\n</details>\n\n");
    }

    private static void AppendWindows(StringBuilder text, GatedText gate)
    {
        text.Append("<details><summary>The windows that lost most, in nats a token</summary>\n\n| window | begins at token | float | "
            + "quantized | added |\n|---:|---:|---:|---:|---:|\n");
        foreach (WindowComparison window in gate.Comparison.WorstWindows)
        {
            Row(
                text,
                Number(window.Window, "0"),
                Number((long)window.Window * gate.Float.Window, "0"),
                Number(window.ReferenceLoss, "F4"),
                Number(window.Loss, "F4"),
                Number(window.Loss - window.ReferenceLoss, "+0.0000;-0.0000"));
        }

        text.Append("\n</details>\n");
    }

    private static void Row(StringBuilder text, params string[] cells) => text.Append("| ").AppendJoin(" | ", cells).Append(" |\n");
}
