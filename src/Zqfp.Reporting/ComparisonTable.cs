using Zqfp.Evaluation;
using static Zqfp.Reporting.HtmlText;

namespace Zqfp.Reporting;

/// <summary>The figures of several models, a row each, the smallest model first. Columns that no model has are left out.</summary>
/// <param name="Columns">The columns' names.</param>
/// <param name="Rows">The rows' cells, unescaped, the model's name first.</param>
internal sealed record ComparisonTable(IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows)
{
    /// <summary>The table.</summary>
    /// <param name="models">The models.</param>
    /// <param name="names">Their names.</param>
    public static ComparisonTable Of(IReadOnlyList<ReportedModel> models, IReadOnlyList<string> names)
    {
        string[] tasks = [.. models.SelectMany(model => model.Gate?.Tasks ?? []).Select(task => task.Name).Distinct()];
        (string Name, Func<ReportedModel, string> Cell)[] columns =
        [
            ("recipe", model => model.Quantization.Recipe),
            ("size", model => Megabytes(model.Quantization.QuantizedBytes)),
            ("bits per weight", model => Number(model.Quantization.BitsPerWeight, "F2")),
            ("perplexity", model => Text(model, text => Number(text.Quantized.Perplexity, "F3"))),
            ("increase", model => Text(model, text => SignedPercent.Fixed(text.Comparison.PerplexityIncrease))),
            ("95 % interval", model => Text(model, text => text.Comparison.IncreaseInterval is { } interval
                ? $"{SignedPercent.Fixed(interval.Low)} to {SignedPercent.Fixed(interval.High)}"
                : "")),
            ("KL divergence", model => Text(model, text => text.Comparison.Divergence is { } apart
                ? Number(apart.KullbackLeibler, "0.####")
                : "")),
            ("top-1 agreement", model => Text(model, text => text.Comparison.Divergence is { } apart
                ? Number(100 * apart.Top1Agreement, "F1") + " %"
                : "")),
            .. tasks.Select(task => ($"accuracy on {task}", (Func<ReportedModel, string>)(model => Accuracy(model, task)))),
            ("gate", model => model.Gate is { } gate ? gate.Passed ? "passed" : $"failed ({gate.Failure!.Code})" : ""),
            ("seconds", model => Number(model.Quantization.Seconds.Sum(phase => phase.Value), "F0")),
        ];
        columns = [.. columns.Where(column => models.Any(model => column.Cell(model).Length > 0))];
        int[] order = [.. Enumerable.Range(0, models.Count).OrderBy(i => models[i].Quantization.QuantizedBytes)];
        return new ComparisonTable(
            ["model", .. columns.Select(column => column.Name)],
            [.. order.Select(i => (string[])[names[i], .. columns.Select(column => column.Cell(models[i]))])]);
    }

    /// <summary>What makes the figures hard to compare, or null: float models or texts that differ.</summary>
    public static string? Caution(IReadOnlyList<ReportedModel> models)
    {
        EvaluationResult[] floats = [.. models.Select(model => model.Gate?.Float).OfType<EvaluationResult>()];
        return floats.Select(result => (result.Windows, result.Window)).Distinct().Count() > 1
            || (floats.Length > 0 && floats.Max(result => result.Perplexity) > floats.Min(result => result.Perplexity) * (1 + 1e-6))
            ? "The models were not measured against the same float model on the same tokens: their increases are not of one thing."
            : null;
    }

    private static string Text(ReportedModel model, Func<GatedText, string> cell) => model.Gate?.Text is { } text ? cell(text) : "";

    private static string Accuracy(ReportedModel model, string task) =>
        model.Gate?.Tasks.FirstOrDefault(known => known.Name == task) is { } known
            ? $"{Number(known.Accuracy, "F3")} ({Number(-100 * known.Drop, "+0.0;-0.0;0.0")})"
            : "";
}
