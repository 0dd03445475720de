using System.CommandLine;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp sweep</c>.</summary>
internal static class SweepCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "The float model" };
        var command = new Command("sweep", "Measure a model in the paper's configurations, as tables and a plot") { model };
        var options = new CommandOptions(command, OptionCommands.Sweep);
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp sweep model.onnx -o sweep --tokenizer tokenizer.json --calibration train.txt --text test.txt",
            "dotnet zqfp sweep model.onnx -o sweep --tokenizer tokenizer.json --calibration train.txt --text test.txt --table constraints "
            + "--windows 40"));
        command.SetAction(result =>
        {
            GivenOptions given = options.Of(result);
            var sweep = new SweepOptions
            {
                ModelPath = result.GetRequiredValue(model),
                Folder = given.Required("--output"),
                CalibrationPath = given.Required("--calibration"),
                CalibrationWindows = given.Whole("--calibration-windows"),
                TextPath = given.Required("--text"),
                TokenizerPath = given.Text("--tokenizer"),
                Window = given.Whole("--window"),
                Windows = given.Whole("--windows"),
                Tables = OptionWords.Table(given.Required("--table")) is { } only ? [only] : [],
                Threads = given.Whole("--threads"),
            };
            return Job.Run(given, (observer, cancellation) =>
            {
                using var only = QuantizationLock.Acquire(sweep.Folder, cancellation);
                SweepReport report = SweepJob.Run(sweep, observer, cancellation);
                string kind = given.Flag("--json") ? ".json" : ".md";
                Console.Out.Write(File.ReadAllText(report.Files.Single(file => file.EndsWith(kind, StringComparison.Ordinal))));
                return ExitCodes.Success;
            });
        });
        return command;
    }
}
