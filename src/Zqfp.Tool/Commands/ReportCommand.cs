using System.CommandLine;
using Zqfp.Reporting;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp report</c>.</summary>
internal static class ReportCommand
{
    public static Command Create()
    {
        var quantization = new Argument<string>("QUANTIZATION") { Description = "What 'quantize --json' wrote" };
        var gate = new Option<string?>("--gate") { Description = "What 'gate --json' wrote: perplexities and where the loss comes from", HelpName = "FILE" };
        var output = new Option<string[]>("--output", "-o")
        {
            Description = "The file to write: .html, .md (for the summary of a CI job) or .json (both results in one); may be repeated",
            HelpName = "FILE",
            Required = true,
            Arity = ArgumentArity.OneOrMore,
        };
        var shared = new SharedOptions();
        var command = new Command("report", "Make a self-contained HTML page, or Markdown, of what quantizing and measuring gave") { quantization, gate, output };
        command.Options.Add(shared.Quiet);
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp quantize model.onnx -o quantized/model.onnx --tokenizer tokenizer.json --calibration train.txt --json > quantize.json",
            "dotnet zqfp gate quantized/model.onnx --against model.onnx --text test.txt --tokenizer tokenizer.json --divergence --json > gate.json",
            "dotnet zqfp report quantize.json --gate gate.json -o report.html -o report.md"));
        command.SetAction(result => Job.Run(result, shared, (_, _) =>
        {
            var options = new ReportOptions
            {
                QuantizationPath = result.GetRequiredValue(quantization),
                GatePath = result.GetValue(gate),
                OutputPaths = result.GetRequiredValue(output),
            };
            ReportJob.Write(options);
            foreach (string path in options.OutputPaths)
            {
                Console.Out.WriteLine(path);
            }

            return ExitCodes.Success;
        }));
        return command;
    }
}
