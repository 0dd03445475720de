using System.CommandLine;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp doctor</c>.</summary>
internal static class DoctorCommand
{
    public static Command Create()
    {
        var shared = new SharedOptions();
        var command = new Command("doctor", "Tell what this machine offers, and what to do about what is missing");
        shared.AddTo(command, computes: false);
        HelpText.Extend(command, HelpText.Examples("dotnet zqfp doctor", "dotnet zqfp doctor --json"));
        command.SetAction(result => Job.Run(result, shared, (_, _) =>
        {
            DoctorReport report = DoctorJob.Run();
            DoctorWriter.Write(report, result.GetValue(shared.Json));
            return report.CanQuantize ? ExitCodes.Success : ExitCodes.Runtime;
        }));
        return command;
    }
}
