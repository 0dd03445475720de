using System.CommandLine;
using Zqfp.CudaOps;
using Zqfp.Evaluation;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp evaluate</c>.</summary>
internal static class EvaluateCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "The model, float or quantized: an ONNX file or a folder of ONNX Runtime GenAI" };
        var text = new TextOptions();
        var reading = new ReadingOptions();
        var against = new Option<string?>("--against") { Description = "A model to compare with over the same tokens, such as the float model: paired difference, KL divergence, worst windows", HelpName = "MODEL" };
        var cache = new Option<string?>("--cache") { Description = "A folder that keeps results by content, so that nothing is measured twice", HelpName = "FOLDER" };
        var shared = new SharedOptions();
        Choice<ZqfpDevice> device = DeviceOption.Create();
        var command = new Command("evaluate", "Measure a model's perplexity on a text") { model, device.Option };
        text.AddTo(command);
        reading.AddTo(command);
        command.Options.Add(against);
        command.Options.Add(cache);
        shared.AddTo(command);
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp evaluate model.onnx --text test.txt --tokenizer tokenizer.json",
            "dotnet zqfp evaluate model.onnx --text test.txt --tokenizer tokenizer.json --window 2048 --windows 40 --json",
            "dotnet zqfp evaluate quantized/model.onnx --against model.onnx --text test.txt --tokenizer tokenizer.json"));
        command.SetAction(result =>
        {
            var options = new EvaluateOptions
            {
                ModelPath = result.GetRequiredValue(model),
                TextPath = result.GetRequiredValue(text.Text)!,
                TokenizerPath = result.GetValue(text.Tokenizer),
                Reading = reading.Of(result),
                Window = result.GetValue(text.Window),
                Windows = result.GetValue(text.Windows),
                AgainstPath = result.GetValue(against),
                CacheFolder = result.GetValue(cache),
                Threads = result.GetValue(shared.Threads),
                Device = device.Of(result),
            };
            return Job.Run(result, shared, (observer, cancellation) =>
            {
                EvaluationResult evaluation = EvaluateJob.Run(options, observer, cancellation);
                ResultWriter.Write(evaluation, result.GetValue(shared.Json));
                return ExitCodes.Success;
            });
        });
        return command;
    }
}
