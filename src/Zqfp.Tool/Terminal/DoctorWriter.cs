using System.Text.Json;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary>Writes what a machine offers: a table and advice, or JSON.</summary>
internal static class DoctorWriter
{
    private const string Ok = "ok";
    private const string Missing = "-";
    private const string Problem = "PROBLEM";

    public static void Write(DoctorReport report, bool json) =>
        Console.Out.Write(json ? JsonSerializer.Serialize(report, ResultJson.Readable.DoctorReport) + "\n" : Describe(report));

    private static string Describe(DoctorReport report)
    {
        var table = new TextTable(["what", "", "found"]) { Paint = Paint };
        foreach (DoctorCheck check in report.Checks)
        {
            table.Add(check.Name, Word(check.State), check.Found);
            if (check.Advice is { } advice)
            {
                table.Add("", "", $"-> {advice}{(check.Code is { } code ? $" ({code})" : "")}");
            }
        }

        return table.ToString(Style.Output.Width)
            + (report.CanQuantize ? "Models can be quantized here.\n" : "Models cannot be quantized here.\n");
    }

    private static string Paint(int column, string cell) => (column, cell.Trim()) switch
    {
        (1, Ok) => Style.Output.Paint(cell, Color.Green),
        (1, Missing) => Style.Output.Paint(cell, Color.Yellow),
        (1, Problem) => Style.Output.Paint(cell, Color.Red),
        _ => cell,
    };

    private static string Word(DoctorState state) => state switch
    {
        DoctorState.Ok => Ok,
        DoctorState.Missing => Missing,
        _ => Problem,
    };
}
