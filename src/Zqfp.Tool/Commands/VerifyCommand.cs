using System.CommandLine;
using Zqfp.CudaOps;
using Zqfp.Evaluation;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp verify</c>.</summary>
internal static class VerifyCommand
{
    public static Command Create()
    {
        var reference = new Argument<string>("REFERENCE") { Description = "The reference model" };
        var model = new Argument<string>("MODEL") { Description = "The model to compare with it; its graph and inputs may differ" };
        var command = new Command("verify", "Compare the logits of two models on the same tokens") { reference, model };
        var options = new CommandOptions(command, OptionCommands.Verify);
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp verify custom/model.onnx portable/model.onnx",
            "dotnet zqfp verify model.onnx quantized/model.onnx --text test.txt --tokenizer tokenizer.json --windows 40"));
        command.SetAction(result =>
        {
            GivenOptions given = options.Of(result);
            var verify = new VerifyOptions
            {
                ReferencePath = result.GetRequiredValue(reference),
                ModelPath = result.GetRequiredValue(model),
                TextPath = given.Text("--text"),
                TokenizerPath = given.Text("--tokenizer"),
                Logits = given.Text("--logits"),
                Window = given.Whole("--window"),
                Windows = given.Whole("--windows"),
                Seed = given.Whole("--seed"),
                Device = given.Choice<ZqfpDevice>("--device"),
                Threads = given.Whole("--threads"),
            };
            return Job.Run(given, (observer, cancellation) =>
            {
                ResultWriter.Write(VerifyJob.Run(verify, observer, cancellation), given.Flag("--json"));
                return ExitCodes.Success;
            });
        });
        return command;
    }
}
