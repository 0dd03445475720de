using System.CommandLine;
using Zqfp.Evaluation;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp verify</c>.</summary>
internal static class VerifyCommand
{
    private const int Window = 128;
    private const int Windows = 8;

    public static Command Create()
    {
        var reference = new Argument<string>("REFERENCE") { Description = "The model that counts as right" };
        var model = new Argument<string>("MODEL") { Description = "The model to compare with it; its graph and inputs may differ" };
        var text = new TextOptions("A text to feed [default: random tokens]", required: false, Window, Windows);
        Option<int> seed = Number.Whole("--seed", "Seed of the random tokens", least: 0, defaultValue: 1);
        var shared = new SharedOptions();
        var command = new Command("verify", "Compare the logits of two models on the same tokens") { reference, model };
        text.AddTo(command);
        command.Options.Add(seed);
        shared.AddTo(command);
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp verify custom/model.onnx portable/model.onnx",
            "dotnet zqfp verify model.onnx quantized/model.onnx --text test.txt --tokenizer tokenizer.json --windows 40"));
        command.SetAction(result =>
        {
            var options = new VerifyOptions
            {
                ReferencePath = result.GetRequiredValue(reference),
                ModelPath = result.GetRequiredValue(model),
                TextPath = result.GetValue(text.Text),
                TokenizerPath = result.GetValue(text.Tokenizer),
                Window = result.GetValue(text.Window),
                Windows = result.GetValue(text.Windows),
                Seed = result.GetValue(seed),
                Threads = result.GetValue(shared.Threads),
            };
            return Job.Run(result, shared, (observer, cancellation) =>
            {
                ResultWriter.Write(VerifyJob.Run(options, observer, cancellation), result.GetValue(shared.Json));
                return ExitCodes.Success;
            });
        });
        return command;
    }
}
