using System.CommandLine;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp sweep</c>.</summary>
internal static class SweepCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "The float model" };
        var output = new Option<string>("--output", "-o") { Description = "A folder for the tables (sweep.md, sweep.json, sweep.svg); a stopped sweep continues there", HelpName = "FOLDER", Required = true };
        var calibration = new Option<string>("--calibration") { Description = "Text to calibrate on", HelpName = "FILE", Required = true };
        var text = new TextOptions("The text to measure on");
        Option<int> calibrationWindows = Number.Whole("--calibration-windows", "Calibration windows at most, 0 for all the text has", least: 0, defaultValue: 96);
        Choice<SweepTable?> table = new(
            "--table",
            "Which table to make",
            ("all", null),
            ("formats", SweepTable.Formats),
            ("constraints", SweepTable.Constraints),
            ("ranks", SweepTable.Ranks),
            ("encodings", SweepTable.Encodings),
            ("presets", SweepTable.Presets));
        var shared = new SharedOptions();
        var command = new Command("sweep", "Measure a model in the paper's configurations, as tables and a plot") { model, output, calibration, calibrationWindows, table.Option };
        text.AddTo(command);
        shared.AddTo(command);
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp sweep model.onnx -o sweep --tokenizer tokenizer.json --calibration train.txt --text test.txt",
            "dotnet zqfp sweep model.onnx -o sweep --tokenizer tokenizer.json --calibration train.txt --text test.txt --table constraints --windows 40"));
        command.SetAction(result =>
        {
            var options = new SweepOptions
            {
                ModelPath = result.GetRequiredValue(model),
                Folder = result.GetRequiredValue(output),
                CalibrationPath = result.GetRequiredValue(calibration),
                CalibrationWindows = result.GetValue(calibrationWindows),
                TextPath = result.GetRequiredValue(text.Text)!,
                TokenizerPath = result.GetValue(text.Tokenizer),
                Window = result.GetValue(text.Window),
                Windows = result.GetValue(text.Windows),
                Tables = table.Of(result) is { } only ? [only] : [],
                Threads = result.GetValue(shared.Threads),
            };
            return Job.Run(result, shared, (observer, cancellation) =>
            {
                using var only = QuantizationLock.Acquire(() => Console.Error.WriteLine("Waiting for another quantization to end."), cancellation);
                SweepReport report = SweepJob.Run(options, observer, cancellation);
                Console.Out.Write(File.ReadAllText(report.Files.Single(file => file.EndsWith(result.GetValue(shared.Json) ? ".json" : ".md", StringComparison.Ordinal))));
                return ExitCodes.Success;
            });
        });
        return command;
    }
}
