using System.CommandLine;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp inspect</c>.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "The model, float or quantized" };
        var command = new Command("inspect", "List a model's layers, and what quantizing would do to each") { model };
        var options = new CommandOptions(command, OptionCommands.Inspect);
        HelpText.Extend(command, HelpText.Examples("dotnet zqfp inspect model.onnx", "dotnet zqfp inspect model.onnx --json"));
        command.SetAction(result =>
        {
            GivenOptions given = options.Of(result);
            return Job.Run(given, (_, _) =>
            {
                var inspected = new QuantizeOptions
                {
                    ModelPath = result.GetRequiredValue(model),
                    OutputPath = string.Empty,
                    Logits = given.Text("--logits"),
                };
                InspectWriter.Write(InspectJob.Run(inspected), given.Flag("--json"));
                return ExitCodes.Success;
            });
        });
        return command;
    }
}
