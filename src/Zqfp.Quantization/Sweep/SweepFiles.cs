using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Zqfp.Evaluation;

namespace Zqfp.Quantization;

/// <summary>Writes a sweep as Markdown, JSON and a plot.</summary>
internal static class SweepFiles
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        WriteIndented = true,
    };

    /// <summary>Writes the files into <paramref name="folder"/>.</summary>
    /// <returns>The report with the files' paths.</returns>
    /// <exception cref="ZqfpException">ZQFP0002: they cannot be written.</exception>
    public static SweepReport Write(string folder, SweepReport report)
    {
        string[] files = [Path.Combine(folder, "sweep.md"), Path.Combine(folder, "sweep.json"), Path.Combine(folder, "sweep.svg")];
        SweepReport whole = report with { Files = files };
        try
        {
            WholeFile.WriteText(files[0], Markdown(whole));
            WholeFile.WriteText(files[1], JsonSerializer.Serialize(whole, Json) + "\n");
            WholeFile.WriteText(files[2], SweepPlot.Draw(whole));
            return whole;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException("ZQFP0002", $"The tables cannot be written: {NewFile.Explain(e)}", folder, e);
        }
    }

    /// <summary>The tables and the claims.</summary>
    internal static string Markdown(SweepReport report)
    {
        Dictionary<string, SweepRow> rows = report.Rows.ToDictionary(row => row.Name);
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# Sweep of {MarkdownText.Plain(Path.GetFileName(report.Model))}\n\n");
        text.Append(CultureInfo.InvariantCulture,
            $"Float: perplexity {report.Float.Perplexity:F4}{Error(report.Float)} over {report.Float.Windows} windows of "
            + $"{report.Float.Window} tokens. ");
        text.Append("Increases are over the float model on the same tokens, with their 95 % interval, paired over windows. *simulated*: no "
            + "operator computes these formats; float weights of the quantized values stood for them.\n\n");
        text.Append("![Increase of perplexity](sweep.svg)\n");
        foreach ((SweepTable table, IReadOnlyList<string> names) in report.Tables)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"\n## {table}\n\n| configuration | bits per weight | perplexity | increase | 95 % interval | "
                + $"|\n|---|---|---|---|---|---|\n");
            foreach (SweepRow row in names.Select(name => rows[name]))
            {
                Comparison comparison = row.Evaluation.Against!;
                text.Append(CultureInfo.InvariantCulture,
                    $"| {row.Name} | {row.BitsPerWeight:F2} | {row.Evaluation.Perplexity:F4} | "
                    + $"{SignedPercent.Fixed(comparison.PerplexityIncrease)} | {Range(comparison.IncreaseInterval)} | "
                    + $"{(row.IsSimulated ? "simulated" : "")} |\n");
            }
        }

        if (report.Claims.Count > 0)
        {
            text.Append("\n## The paper's order\n\n| claim | worse over better | 95 % interval | holds |\n|---|---|---|---|\n");
            foreach (SweepClaim claim in report.Claims)
            {
                text.Append(CultureInfo.InvariantCulture,
                    $"| {claim.Claim} | {SignedPercent.Fixed(claim.Difference)} | {Range(claim.Interval)} | {Verdict(claim)} |\n");
            }
        }

        return text.ToString();
    }

    private static string Verdict(SweepClaim claim) => claim.Holds switch
    {
        true => "yes",
        false => "no",
        null => "within the noise",
    };

    private static string Error(EvaluationResult result) => result.StandardError is { } error
        ? string.Create(CultureInfo.InvariantCulture, $" (standard error {error:F4})")
        : "";

    private static string Range(Interval? interval) => interval is null
        ? ""
        : $"{SignedPercent.Fixed(interval.Low)} to {SignedPercent.Fixed(interval.High)}";
}
