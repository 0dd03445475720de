using System.Globalization;
using System.Text;
using Zqfp.Evaluation;
using static Zqfp.Reporting.HtmlText;

namespace Zqfp.Reporting;

/// <summary>What quantizing cost on tasks.</summary>
internal static class TaskSection
{
    public static void Append(StringBuilder page, IReadOnlyList<TaskComparison> tasks)
    {
        page.Append("<h2>Tasks</h2>\n<p class=\"soft\">Share of the questions answered rightly, and its change with the 95 % interval of "
            + "paired answers.</p>\n<div class=\"wide\"><table>\n<tr><th>task<th class=\"n\">questions<th class=\"n\">float"
            + "<th class=\"n\">quantized<th class=\"n\">lost<th class=\"n\">won<th class=\"n\">change</tr>\n");
        foreach (TaskComparison task in tasks)
        {
            page.Append(CultureInfo.InvariantCulture,
                $"<tr><td>{Escape(task.Name)}<td class=\"n\">{task.Questions}<td class=\"n\">{task.ReferenceAccuracy:F3}<td class=\"n\">"
                + $"{task.Accuracy:F3}<td class=\"n\">{task.Lost}<td class=\"n\">{task.Won}<td class=\"n\">{Change(task)}</tr>\n");
        }

        page.Append("</table></div>\n");
    }

    /// <summary>The change of the accuracy in percentage points, with its interval.</summary>
    public static string Change(TaskComparison task) =>
        $"{Points(-task.Drop)} points (95 % interval {Points(-task.DropInterval.High)} to {Points(-task.DropInterval.Low)})";

    private static string Points(double share) => Number(100 * share, "+0.0;-0.0;0.0");
}
