using System.CommandLine;
using Zqfp.Reporting;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp report</c>.</summary>
internal static class ReportCommand
{
    public static Command Create()
    {
        var quantization = new Argument<string>("QUANTIZATION") { Description = "What 'quantize --json' wrote" };
        var command = new Command(
            "report", "Make a self-contained HTML page, or Markdown, of what quantizing and measuring gave") { quantization };
        var options = new CommandOptions(command, OptionCommands.Report);
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp quantize model.onnx -o quantized/model.onnx --tokenizer tokenizer.json --calibration train.txt --json > "
            + "quantize.json",
            "dotnet zqfp gate quantized/model.onnx --against model.onnx --text test.txt --tokenizer tokenizer.json --divergence --json > "
            + "gate.json",
            "dotnet zqfp report quantize.json --gate gate.json -o report.html -o report.md"));
        command.SetAction(result =>
        {
            GivenOptions given = options.Of(result);
            return Job.Run(given, (_, _) =>
            {
                var report = new ReportOptions
                {
                    QuantizationPath = result.GetRequiredValue(quantization),
                    GatePath = given.Text("--gate"),
                    OutputPaths = given.List("--output"),
                };
                ReportJob.Write(report);
                foreach (string path in report.OutputPaths)
                {
                    Console.Out.WriteLine(path);
                }

                return ExitCodes.Success;
            });
        });
        return command;
    }
}
