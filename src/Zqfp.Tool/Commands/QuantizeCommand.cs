using System.CommandLine;
using Zqfp.CudaOps;
using Zqfp.OnnxRewriter;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp quantize</c>, and <c>dotnet zqfp plan</c>, which takes the same options and stops before any work.</summary>
internal static class QuantizeCommand
{
    public static Command Create() => Create("quantize", "Quantize a model", OptionCommands.Quantize);

    public static Command CreatePlan() =>
        Create("plan", "Print what quantizing a model would do, and estimate memory, disk and time", OptionCommands.Plan);

    /// <summary>What a command line asks for, without doing it.</summary>
    /// <param name="arguments">The arguments of the tool, <c>quantize</c> first.</param>
    /// <exception cref="ZqfpException">ZQFP0042: it is no command of <c>quantize</c>.</exception>
    public static QuantizeOptions Parse(string[] arguments)
    {
        var root = new RootCommand();
        (Command command, CommandOptions options, Argument<string> model) = Build("quantize", string.Empty, OptionCommands.Quantize);
        root.Subcommands.Add(command);
        ParseResult result = root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        return result.Errors is [var error, ..]
            ? throw new ZqfpException("ZQFP0042", $"This is no command of 'quantize': {error.Message.TrimEnd('.')}.")
            : Read(result.GetRequiredValue(model), options.Of(result));
    }

    private static (Command Command, CommandOptions Options, Argument<string> Model) Build(
        string name, string description, OptionCommands kind)
    {
        var model = new Argument<string>(
            "MODEL")
        { Description = "The float model: an ONNX file with its external data beside it, or a folder of ONNX Runtime GenAI" };
        var command = new Command(name, description) { model };
        return (command, new CommandOptions(command, kind), model);
    }

    private static Command Create(string name, string description, OptionCommands kind)
    {
        bool plansOnly = kind == OptionCommands.Plan;
        (Command command, CommandOptions options, Argument<string> model) = Build(name, description, kind);
        if (!plansOnly)
        {
            ResultFile.Protect(options["--result"]);
        }

        HelpText.Extend(command, plansOnly
            ? HelpText.Examples(
                "dotnet zqfp plan model.onnx",
                "dotnet zqfp plan model.onnx --preset best --windows 128 --window 2048 --json")
            : HelpText.Examples(
                "dotnet zqfp quantize model.onnx -o quantized/model.onnx --tokenizer tokenizer.json --calibration train.txt",
                "dotnet zqfp quantize model.onnx -o fp8/model.onnx --tokenizer tokenizer.json --calibration train.txt --weights fp8 --rank "
                + "0",
                "dotnet zqfp quantize model.onnx -o mixed/model.onnx --tokenizer tokenizer.json --calibration train.txt " +
                "--exclude '*layers.0*' --override '*down_proj*:format=fp8,rank=16'"));
        command.SetAction(result =>
        {
            GivenOptions given = options.Of(result);
            QuantizeOptions asked = Read(result.GetRequiredValue(model), given);
            return Job.Run(given, (observer, cancellation) =>
            {
                QuantizeOptions quantize = plansOnly ? asked : asked with { Shard = given.Shard(), MergesOnly = given.Flag("--merge") };
                quantize = quantize with { Gpu = given.OptionalWhole("--gpu") ?? QuantizeDevice.GpuOf(quantize, CudaContext.IsServed) };
                if (!plansOnly)
                {
                    ResultFile.RequireWritable(given.Text("--result"));
                }

                if (plansOnly || given.Flag("--dry-run"))
                {
                    PlanWriter.Write(PlanJob.Run(quantize, cancellation), given.Flag("--json"));
                    return ExitCodes.Success;
                }

                QuantizeJob.Check(quantize);
                if (quantize.Shard is { } shard)
                {
                    // What runs beside it is the business of whoever starts the shards.
                    ResultWriter.Write(
                        QuantizeJob.RunShard(quantize, shard, observer, cancellation), given.Flag("--json"), given.Text("--result"));
                    return ExitCodes.Success;
                }

                using var only = QuantizationLock.Acquire(quantize.OutputPath, cancellation);
                QuantizeReport report = QuantizeJob.Run(quantize, observer, cancellation);
                ResultWriter.Write(report, given.Flag("--json"), given.Text("--result"));
                return ExitCodes.Success;
            });
        });
        return command;
    }

    internal static QuantizeOptions Read(string model, GivenOptions given)
    {
        QuantizeOptions options = given.Choice<QuantizePreset>("--preset").Apply(new QuantizeOptions
        {
            ModelPath = model,
            OutputPath = given.Text("--output") ?? Path.Combine("quantized", Path.GetFileName(model)),
            TokenizerPath = given.Text("--tokenizer"),
            CalibrationPath = given.Text("--calibration"),
            Logits = given.Text("--logits"),
            Reading = given.Reading(),
            Window = given.Whole("--window"),
            Windows = given.Whole("--windows"),
            WindowSeed = given.OptionalWhole("--window-seed"),
            Activations = OptionWords.Activations(given.Required("--activations")),
            Budget = given.Budget(),
            Bias = given.Choice<LayerBias>("--bias"),
            Head = given.Choice<VocabularyFormat>("--head"),
            Embedding = given.Choice<VocabularyFormat>("--embedding"),
            CalibrateOn = given.Choice<CalibrationSource>("--calibrate-on"),
            Selection = given.Selection(),
            Profiles = given.Choices<EmissionProfile>("--profile"),
            AccuracyLevel = given.Whole("--accuracy-level"),
            Fusion = given.Choice<OperatorFusion>("--fuse"),
            Target = given.Choice<OutputTarget>("--for"),
            OperatorLibrary = given.Text("--operators-library"),
            WorkFolder = given.Text("--work"),
            Memory = given.Text("--memory") is { } memory ? ByteSize.Parse(memory) : null,
            Shards = given.OptionalWhole("--shards"),
            Device = given.Choice<ZqfpDevice>("--device"),
            Gpu = given.OptionalWhole("--gpu") ?? 0,
            Threads = given.Whole("--threads"),
            Quantization = given.Weights(),
        });
        return options with
        {
            LayerTarget = OptionWords.Target(given.Required("--target")) ?? options.LayerTarget,
            Rotation = OptionWords.Rotation(given.Required("--rotation")) ?? options.Rotation,
        };
    }
}
