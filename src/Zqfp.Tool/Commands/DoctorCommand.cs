using System.CommandLine;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp doctor</c>.</summary>
internal static class DoctorCommand
{
    public static Command Create()
    {
        var command = new Command("doctor", "Check what this machine offers, and how to install what is missing");
        var options = new CommandOptions(command, OptionCommands.Doctor);
        HelpText.Extend(command, HelpText.Examples("dotnet zqfp doctor", "dotnet zqfp doctor --json"));
        command.SetAction(result =>
        {
            GivenOptions given = options.Of(result);
            return Job.Run(given, (_, _) =>
            {
                DoctorReport report = DoctorJob.Run();
                DoctorWriter.Write(report, given.Flag("--json"));
                return report.CanQuantize ? ExitCodes.Success : ExitCodes.Runtime;
            });
        });
        return command;
    }
}
