using System.CommandLine;
using Zqfp.CudaOps;
using Zqfp.Evaluation;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp bench</c>.</summary>
internal static class BenchCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "The model, float or quantized, or a GenAI folder" };
        var command = new Command("bench", "Time a model: tokens per second of a prompt and of generation") { model };
        var options = new CommandOptions(command, OptionCommands.Bench);
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp bench model.onnx",
            "dotnet zqfp bench quantized/model.onnx --prompt 512 --tokens 128 --threads 2",
            "dotnet zqfp bench quantized/model.onnx --device cuda --json"));
        command.SetAction(result =>
        {
            GivenOptions given = options.Of(result);
            var bench = new BenchOptions
            {
                ModelPath = result.GetRequiredValue(model),
                Logits = given.Text("--logits"),
                Prompt = given.Whole("--prompt"),
                Tokens = given.Whole("--tokens"),
                Rounds = given.Whole("--rounds"),
                Threads = given.Whole("--threads"),
                Device = given.Choice<ZqfpDevice>("--device"),
            };
            return Job.Run(given, (observer, cancellation) =>
            {
                ResultWriter.Write(BenchJob.Run(bench, observer, cancellation), given.Flag("--json"));
                return ExitCodes.Success;
            });
        });
        return command;
    }
}
