using System.CommandLine;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp inspect</c>.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "The model, float or quantized: an ONNX file or a folder of ONNX Runtime GenAI" };
        var shared = new SharedOptions();
        var command = new Command("inspect", "List a model's layers, and what quantizing would do to each") { model };
        shared.AddTo(command, computes: false);
        HelpText.Extend(command, HelpText.Examples("dotnet zqfp inspect model.onnx", "dotnet zqfp inspect model.onnx --json"));
        command.SetAction(result => Job.Run(result, shared, (_, _) =>
        {
            var options = new QuantizeOptions { ModelPath = result.GetRequiredValue(model), OutputPath = string.Empty };
            InspectWriter.Write(InspectJob.Run(options), result.GetValue(shared.Json));
            return ExitCodes.Success;
        }));
        return command;
    }
}
