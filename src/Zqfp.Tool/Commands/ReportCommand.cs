using System.CommandLine;
using Zqfp.Reporting;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp report</c>.</summary>
internal static class ReportCommand
{
    public static Command Create()
    {
        var quantization = new Argument<string[]>("QUANTIZATION")
        {
            Description = "What 'quantize --json' wrote; several are compared side by side",
            Arity = ArgumentArity.OneOrMore,
        };
        var command = new Command(
            "report", "Make a self-contained HTML page, or Markdown, of what quantizing and measuring gave, of one model or several")
        {
            quantization,
        };
        var options = new CommandOptions(command, OptionCommands.Report);
        command.Validators.Add(result =>
        {
            int models = result.GetResult(quantization)?.Tokens.Count ?? 0;
            int gates = result.GetResult(options["--gate"])?.Tokens.Count ?? 0;
            if (gates > 0 && gates != models)
            {
                result.AddError(
                    $"There are {models} quantizations and {gates} gates: give each its own --gate, in the same order, or none.");
            }
        });
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp quantize model.onnx -o quantized/model.onnx --tokenizer tokenizer.json --calibration train.txt --json > "
            + "quantize.json",
            "dotnet zqfp gate quantized/model.onnx --against model.onnx --text test.txt --tokenizer tokenizer.json --divergence --json > "
            + "gate.json",
            "dotnet zqfp report quantize.json --gate gate.json -o report.html -o report.md",
            "dotnet zqfp report fp4.json fp8.json --gate fp4-gate.json --gate fp8-gate.json -o comparison.html"));
        command.SetAction(result =>
        {
            GivenOptions given = options.Of(result);
            return Job.Run(given, (_, _) =>
            {
                var report = new ReportOptions
                {
                    Sources = [.. result.GetRequiredValue(quantization).Select(
                        (path, i) => new ReportSource(path, given.List("--gate").ElementAtOrDefault(i)))],
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
