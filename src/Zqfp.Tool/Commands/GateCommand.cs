using System.CommandLine;
using Zqfp.CudaOps;
using Zqfp.Evaluation;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp gate</c>.</summary>
internal static class GateCommand
{
    private const double DefaultMaxIncrease = 0.05;
    private const double DefaultMaxRegression = 0.001;
    private const double DefaultMaxDrop = 0.01;

    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "The quantized model" };
        var command = new Command("gate", "Fail when a quantized model exceeds its limits") { model };
        var options = new CommandOptions(command, OptionCommands.Gate);
        ResultFile.Protect(options["--result"]);
        command.Validators.Add(result =>
        {
            if (result.GetResult(options["--text"]) is null && result.GetResult(options["--task"]) is null)
            {
                result.AddError("Give something to gate on: --text FILE, --task TASK, or both.");
            }

            bool isGiven(string name) => result.GetResult(options[name]) is { Implicit: false };
            if (!isGiven("--baseline") && (isGiven("--update-baseline") || isGiven("--max-regression") || isGiven("--baseline-name")))
            {
                result.AddError("--update-baseline, --max-regression and --baseline-name need --baseline FILE.");
            }
        });
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp gate quantized/model.onnx --against model.onnx --text test.txt --tokenizer tokenizer.json",
            "dotnet zqfp gate quantized/model.onnx --against model.onnx --text test.txt --tokenizer tokenizer.json --max-increase 2% "
            + "--cache .zqfp",
            "dotnet zqfp gate quantized/model.onnx --against model.onnx --text test.txt --tokenizer tokenizer.json --baseline "
            + "zqfp.baseline.json --update-baseline",
            "dotnet zqfp gate quantized/model.onnx --against model.onnx --task arc_easy=arc.jsonl --tokenizer tokenizer.json --max-drop "
            + "2%"));
        command.SetAction(result =>
        {
            GivenOptions given = options.Of(result);
            double? maxPerplexity = given.Number("--max-perplexity");
            (double? maxKl, double? minTop1) = (given.Number("--max-kl"), given.Percentage("--min-top1"));
            bool isLimited = maxPerplexity is not null || given.Text("--baseline") is not null || maxKl is not null || minTop1 is not null;
            var limits = new GateOptions
            {
                ModelPath = result.GetRequiredValue(model),
                FloatModelPath = given.Required("--against"),
                TextPath = given.Text("--text"),
                Tasks = given.List("--task"),
                TokenizerPath = given.Text("--tokenizer"),
                Reading = given.Reading(),
                Window = given.Whole("--window"),
                Windows = given.Whole("--windows"),
                MaxPerplexityIncrease = given.Percentage("--max-increase") ?? (isLimited ? null : DefaultMaxIncrease),
                MaxPerplexity = maxPerplexity,
                MaxDrop = given.Percentage("--max-drop") ?? DefaultMaxDrop,
                MaxKullbackLeibler = maxKl,
                MinTop1Agreement = minTop1,
                Logits = given.Text("--logits"),
                BaselinePath = given.Text("--baseline"),
                BaselineName = given.Text("--baseline-name"),
                MaxRegression = given.Percentage("--max-regression") ?? DefaultMaxRegression,
                UpdateBaseline = given.Flag("--update-baseline"),
                Divergence = given.Flag("--divergence"),
                Device = given.Choice<ZqfpDevice>("--device"),
                CacheFolder = given.Text("--cache"),
                Threads = given.Whole("--threads"),
            };
            return Job.Run(given, (observer, cancellation) =>
            {
                ResultFile.RequireWritable(given.Text("--result"));
                GateResult gate = GateJob.Run(limits, observer, cancellation);
                ResultWriter.Write(gate, given.Flag("--json"), given.Text("--result"));
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
