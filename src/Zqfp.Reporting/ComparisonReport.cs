using System.Globalization;
using System.Text;
using Zqfp.Quantization;
using static Zqfp.Reporting.HtmlText;

namespace Zqfp.Reporting;

/// <summary>Several quantized models side by side: profiles, presets or recipes of one float model.</summary>
internal static class ComparisonReport
{
    /// <summary>The page.</summary>
    public static string RenderHtml(IReadOnlyList<ReportedModel> models)
    {
        string[] names = ReportedModel.Names(models);
        var table = ComparisonTable.Of(models, names);
        string title = $"{models.Count} quantized models";
        StringBuilder page = HtmlPage.Begin(title).Append(CultureInfo.InvariantCulture, $"<h1>{title}</h1>\n");
        if (ComparisonTable.Caution(models) is { } caution)
        {
            page.Append(CultureInfo.InvariantCulture, $"<p class=\"failed\">{caution}</p>\n");
        }

        ComparisonPlot.Append(page, models, names);
        page.Append("<h2>Figures</h2>\n<div class=\"wide\"><table>\n<tr>");
        page.Append(string.Concat(table.Columns.Select(
            (column, i) => $"<th{(i > 1 ? " class=\"n\"" : "")}>{Escape(column)}"))).Append("</tr>\n");
        foreach (IReadOnlyList<string> row in table.Rows)
        {
            page.Append("<tr>").Append(string.Concat(row.Select(
                (cell, i) => $"<td class=\"{(i > 1 ? "n" : "name")}\">{Escape(cell)}"))).Append("</tr>\n");
        }

        return HtmlPage.End(page.Append("</table></div>\n"));
    }

    /// <summary>The table for the summary of a CI job.</summary>
    public static string RenderMarkdown(IReadOnlyList<ReportedModel> models)
    {
        var table = ComparisonTable.Of(models, ReportedModel.Names(models));
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"## {models.Count} quantized models\n\n");
        if (ComparisonTable.Caution(models) is { } caution)
        {
            text.Append(CultureInfo.InvariantCulture, $"> {caution}\n\n");
        }

        Row(table.Columns);
        text.Append("|---|---|").Append(string.Concat(Enumerable.Repeat("---:|", table.Columns.Count - 2))).Append('\n');
        foreach (IReadOnlyList<string> row in table.Rows)
        {
            Row(row);
        }

        return text.ToString();

        void Row(IEnumerable<string> cells) => text.Append("| ").AppendJoin(" | ", cells.Select(MarkdownText.Plain)).Append(" |\n");
    }
}
