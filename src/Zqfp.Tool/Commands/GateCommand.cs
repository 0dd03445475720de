using System.CommandLine;
using Zqfp.CudaOps;
using Zqfp.Evaluation;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp gate</c>.</summary>
internal static class GateCommand
{
    private const double DefaultMaxIncrease = 0.05;
    private const double DefaultMaxRegression = 0.001;

    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "The quantized model" };
        var against = new Option<string>("--against") { Description = "The float model it was made from", HelpName = "MODEL", Required = true };
        var text = new TextOptions();
        var reading = new ReadingOptions();
        Option<double?> maxIncrease = Number.Percentage("--max-increase", "Largest allowed increase of perplexity over the float model's; fails when the 95 % interval lies above it [default: 5%, unless another limit is given]");
        Option<double?> maxPerplexity = Number.Positive("--max-perplexity", "Largest allowed perplexity");
        var baseline = new Option<string?>("--baseline") { Description = "A file of accepted results, to be committed; fails when perplexity rose above the accepted one", HelpName = "FILE" };
        var baselineName = new Option<string?>("--baseline-name") { Description = "The model's name in that file [default: its file name]", HelpName = "NAME" };
        Option<double?> maxRegression = Number.Percentage("--max-regression", "Largest allowed increase over the baseline; fails when the 95 % interval lies above it [default: 0.1%]");
        var updateBaseline = new Option<bool>("--update-baseline") { Description = "Accept this result: write it to the baseline" };
        var divergence = new Option<bool>("--divergence") { Description = "Also measure KL divergence and top-1 agreement: runs both models side by side" };
        var cache = new Option<string?>("--cache") { Description = "A folder that keeps measured perplexities, so that another limit needs no measuring", HelpName = "FOLDER" };
        Choice<ZqfpDevice> device = DeviceOption.Create();
        Option<string?> file = ResultOption.Create();
        var shared = new SharedOptions();
        var command = new Command("gate", "Fail when a quantized model's perplexity is above the limit") { model, against };
        text.AddTo(command);
        reading.AddTo(command);
        command.Options.Add(maxIncrease);
        command.Options.Add(maxPerplexity);
        command.Options.Add(baseline);
        command.Options.Add(baselineName);
        command.Options.Add(maxRegression);
        command.Options.Add(updateBaseline);
        command.Validators.Add(result =>
        {
            if (result.GetValue(baseline) is null && (result.GetValue(updateBaseline) || result.GetValue(maxRegression) is not null || result.GetValue(baselineName) is not null))
            {
                result.AddError("--update-baseline, --max-regression and --baseline-name need --baseline FILE.");
            }
        });
        command.Options.Add(divergence);
        command.Options.Add(device.Option);
        command.Options.Add(cache);
        command.Options.Add(file);
        command.Options.Add(RecipeOptions.Create());
        shared.AddTo(command);
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp gate quantized/model.onnx --against model.onnx --text test.txt --tokenizer tokenizer.json",
            "dotnet zqfp gate quantized/model.onnx --against model.onnx --text test.txt --tokenizer tokenizer.json --max-increase 2% --cache .zqfp",
            "dotnet zqfp gate quantized/model.onnx --against model.onnx --text test.txt --tokenizer tokenizer.json --baseline zqfp.baseline.json --update-baseline"));
        command.SetAction(result =>
        {
            var options = new GateOptions
            {
                ModelPath = result.GetRequiredValue(model),
                FloatModelPath = result.GetRequiredValue(against),
                TextPath = result.GetRequiredValue(text.Text)!,
                TokenizerPath = result.GetValue(text.Tokenizer),
                Reading = reading.Of(result),
                Window = result.GetValue(text.Window),
                Windows = result.GetValue(text.Windows),
                MaxPerplexityIncrease = result.GetValue(maxIncrease) ?? (result.GetValue(maxPerplexity) is null && result.GetValue(baseline) is null ? DefaultMaxIncrease : null),
                MaxPerplexity = result.GetValue(maxPerplexity),
                BaselinePath = result.GetValue(baseline),
                BaselineName = result.GetValue(baselineName),
                MaxRegression = result.GetValue(maxRegression) ?? DefaultMaxRegression,
                UpdateBaseline = result.GetValue(updateBaseline),
                Divergence = result.GetValue(divergence),
                Device = device.Of(result),
                CacheFolder = result.GetValue(cache),
                Threads = result.GetValue(shared.Threads),
            };
            return Job.Run(result, shared, (observer, cancellation) =>
            {
                GateResult gate = GateJob.Run(options, observer, cancellation);
                ResultWriter.Write(gate, result.GetValue(shared.Json), result.GetValue(file));
                if (gate.Failure is { } failure)
                {
                    DiagnosticWriter.Write(failure);
                    return ExitCodes.GateFailed;
                }

                return ExitCodes.Success;
            });
        });
        return command;
    }
}
