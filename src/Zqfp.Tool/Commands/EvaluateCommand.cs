using System.CommandLine;
using Zqfp.CudaOps;
using Zqfp.Evaluation;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp evaluate</c>.</summary>
internal static class EvaluateCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "The model, float or quantized" };
        var command = new Command("evaluate", "Measure a model's perplexity on texts, and its accuracy on tasks") { model };
        var options = new CommandOptions(command, OptionCommands.Evaluate);
        command.Validators.Add(result =>
        {
            if (result.GetResult(options["--text"]) is null && result.GetResult(options["--task"]) is null)
            {
                result.AddError("Give something to measure on: --text FILE, --task TASK, or both.");
            }
        });
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp evaluate model.onnx --text test.txt --tokenizer tokenizer.json",
            "dotnet zqfp evaluate model.onnx --text test.txt --tokenizer tokenizer.json --window 2048 --windows 40 --json",
            "dotnet zqfp evaluate quantized/model.onnx --against model.onnx --text test.txt --tokenizer tokenizer.json",
            "dotnet zqfp evaluate model.onnx --task arc_easy=arc.jsonl --task mine.json --tokenizer tokenizer.json"));
        command.SetAction(result =>
        {
            GivenOptions given = options.Of(result);
            var measure = new MeasureOptions
            {
                ModelPath = result.GetRequiredValue(model),
                TokenizerPath = given.Text("--tokenizer"),
                Reading = given.Reading(),
                Window = given.Whole("--window"),
                Logits = given.Text("--logits"),
                AgainstPath = given.Text("--against"),
                CacheFolder = given.Text("--cache"),
                Threads = given.Whole("--threads"),
                Device = given.Choice<ZqfpDevice>("--device"),
            };
            EvaluateOptions[] texts =
            [
                .. given.List("--text").Select(text => new EvaluateOptions(measure, text) { Windows = given.Whole("--windows") })
            ];
            var tasks = new TaskOptions(measure, given.List("--task"));
            return Job.Run(given, (observer, cancellation) =>
            {
                ResultWriter.Write(MeasureJob.Run(texts, tasks, observer, cancellation), given.Flag("--json"));
                return ExitCodes.Success;
            });
        });
        return command;
    }
}
