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
        var command = new Command("evaluate", "Measure a model's perplexity on a text") { model };
        var options = new CommandOptions(command, OptionCommands.Evaluate);
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp evaluate model.onnx --text test.txt --tokenizer tokenizer.json",
            "dotnet zqfp evaluate model.onnx --text test.txt --tokenizer tokenizer.json --window 2048 --windows 40 --json",
            "dotnet zqfp evaluate quantized/model.onnx --against model.onnx --text test.txt --tokenizer tokenizer.json"));
        command.SetAction(result =>
        {
            GivenOptions given = options.Of(result);
            var evaluate = new EvaluateOptions
            {
                ModelPath = result.GetRequiredValue(model),
                TextPath = given.Required("--text"),
                TokenizerPath = given.Text("--tokenizer"),
                Reading = given.Reading(),
                Window = given.Whole("--window"),
                Windows = given.Whole("--windows"),
                Logits = given.Text("--logits"),
                AgainstPath = given.Text("--against"),
                CacheFolder = given.Text("--cache"),
                Threads = given.Whole("--threads"),
                Device = given.Choice<ZqfpDevice>("--device"),
            };
            return Job.Run(given, (observer, cancellation) =>
            {
                EvaluationResult evaluation = EvaluateJob.Run(evaluate, observer, cancellation);
                ResultWriter.Write(evaluation, given.Flag("--json"));
                return ExitCodes.Success;
            });
        });
        return command;
    }
}
