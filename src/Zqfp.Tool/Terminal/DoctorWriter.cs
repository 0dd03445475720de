using System.Text.Json;
using Zqfp.Pipeline.Doctor;

namespace Zqfp.Tool.Terminal;

/// <summary>Writes what a machine offers: a table and advice, or JSON.</summary>
internal static class DoctorWriter
{
    public static void Write(DoctorReport report, bool json) =>
        Console.Out.Write(json ? JsonSerializer.Serialize(report, ResultJson.Readable.DoctorReport) + "\n" : Describe(report));

    private static string Describe(DoctorReport report)
    {
        var table = new TextTable(["what", "", "found"]);
        foreach (DoctorCheck check in report.Checks)
        {
            table.Add(check.Name, Word(check.State), check.Found);
            if (check.Advice is { } advice)
            {
                table.Add("", "", $"-> {advice}{(check.Code is { } code ? $" ({code})" : "")}");
            }
        }

        return table + (report.CanQuantize ? "Models can be quantized here.\n" : "Models cannot be quantized here.\n");
    }

    private static string Word(DoctorState state) => state switch
    {
        DoctorState.Ok => "ok",
        DoctorState.Missing => "-",
        _ => "PROBLEM",
    };
}
