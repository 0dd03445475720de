using System.CommandLine;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp quantize</c>, and <c>dotnet zqfp plan</c>, which takes the same options and stops before any work.</summary>
internal static class QuantizeCommand
{
    private static readonly QuantizeOptions Defaults = new() { ModelPath = string.Empty, OutputPath = string.Empty };

    private static readonly (string Word, NumberFormat Value)[] Formats =
        [("fp4", NumberFormat.E2M1), ("fp8", NumberFormat.E4M3), ("int4", NumberFormat.Int4), ("int8", NumberFormat.Int8), ("e3m0", NumberFormat.E3M0), ("e5m2", NumberFormat.E5M2)];

    public static Command Create() => Create("quantize", "Quantize a model", plansOnly: false);

    public static Command CreatePlan() => Create("plan", "Tell what quantizing a model would do, and what memory, disk and time it would need", plansOnly: true);

    private static Command Create(string name, string description, bool plansOnly)
    {
        var model = new Argument<string>("MODEL") { Description = "The float model: an ONNX file with its external data beside it, or a folder of ONNX Runtime GenAI" };
        var output = new Option<string>("--output", "-o") { Description = "The quantized model; its weights go to this path with .data appended. A folder with --for genai", HelpName = "FILE", Required = !plansOnly };
        var tokenizer = new Option<string?>("--tokenizer") { Description = "The model's tokenizer", HelpName = "FILE" };
        var calibration = new Option<string?>("--calibration") { Description = "Text to calibrate on", HelpName = "FILE" };
        Choice<NumberFormat> weights = new("--weights", "Format of the weights", Formats);
        Choice<ActivationFormat> activations = new("--activations", "Format of the activations, scaled for each token", ("fp8", ActivationFormat.Fp8), ("int8", ActivationFormat.Int8), ("none", ActivationFormat.None), ("e5m2", ActivationFormat.Fp8E5M2));
        Choice<QuantizationMethod> method = new("--method", "How the weights' codes are chosen", ("gptq", QuantizationMethod.Gptq), ("rtn", QuantizationMethod.Rtn));
        Option<int> groupSize = Number.Whole("--group-size", "Inputs that share a scale; 0 for a whole row, -1 for the whole layer", least: QuantizationOptions.WholeTensor, Defaults.Quantization.GroupSize);
        Choice<ScaleConstraint> constraint = new("--constraint", "Powers of two among the scales: of each (m1), or of their ratios in a row (m2)", ("m2", ScaleConstraint.M2), ("m1", ScaleConstraint.M1), ("none", ScaleConstraint.None));
        Choice<PowerRounding> rounding = new("--rounding", "How the constraint rounds", ("nearest", PowerRounding.Nearest), ("floor", PowerRounding.Floor), ("ceil", PowerRounding.Ceil));
        Option<int> rank = Number.Whole("--rank", "Rank of the low-rank correction (LoRC), 0 for none", least: 0, Defaults.Quantization.Rank);
        Option<int> window = Number.Whole("--window", "Tokens in a calibration window", least: 2, Defaults.Window);
        Option<int> windows = Number.Whole("--windows", "Calibration windows at most, 0 for all the text has", least: 0, Defaults.Windows);
        Option<int?> seed = Number.Optional("--window-seed", "Draw the calibration windows from all of the text by this seed [default: the first ones]");
        Choice<CalibrationSource> calibrateOn = new("--calibrate-on", "What layers are calibrated on: what the quantized layers before them make, or the float model's activations", ("quantized", CalibrationSource.Quantized), ("float", CalibrationSource.Float));
        var layers = new LayerOptions(Formats);
        var reading = new ReadingOptions();
        ChoiceList<EmissionProfile> profile = new("--profile", "How the model is written: operators of domain zqfp (custom), 8-bit MatMulNBits that any ONNX Runtime runs fast (stock), operators with bodies any runtime executes (portable), standard ONNX (qdq). Of several, the first goes to the output, another one beside it with its name before the extension. Float weights for measuring any format (simulated), alone", ("custom", EmissionProfile.Custom), ("stock", EmissionProfile.Stock), ("portable", EmissionProfile.Portable), ("qdq", EmissionProfile.Qdq), ("simulated", EmissionProfile.Simulated));
        Choice<OutputTarget> target = new("--for", "What is written: an ONNX file (onnx), or from a folder of ONNX Runtime GenAI another one (genai)", ("onnx", OutputTarget.Onnx), ("genai", OutputTarget.GenAi));
        var library = new Option<string?>("--operators-library") { Description = "The operators' native library that goes into a GenAI folder of the profile custom [default: the one beside this tool]", HelpName = "FILE" };
        Choice<int> accuracy = new("--accuracy-level", "What MatMulNBits may round activations to in the profile stock: int8 (4), bfloat16 (3), float16 (2), float32 (1), the runtime's choice (0)", ("4", 4), ("0", 0), ("1", 1), ("2", 2), ("3", 3));
        Choice<QuantizePreset> preset = new("--preset", "Work put into each layer at the same bits: what improved on the paper since (default), the paper's recipe (paper), more refinement in three times the time (best)", ("default", QuantizePreset.Default), ("paper", QuantizePreset.Paper), ("best", QuantizePreset.Best));
        var work = new Option<string?>("--work") { Description = "A folder that keeps finished layers, so that a stopped run continues there", HelpName = "FOLDER" };
        var dryRun = new Option<bool>("--dry-run") { Description = "Tell what would be done, and what memory, disk and time it would need; write nothing" };
        Option<string?> file = ResultOption.Create();
        var shared = new SharedOptions();

        var command = new Command(name, description)
        {
            model, output, tokenizer, calibration, weights.Option, activations.Option, method.Option, groupSize, constraint.Option, rounding.Option,
            rank, window, windows, seed, calibrateOn.Option, profile.Option, accuracy.Option, target.Option, library, preset.Option, work,
        };
        if (!plansOnly)
        {
            command.Options.Add(dryRun);
            command.Options.Add(file);
        }

        layers.AddTo(command);
        reading.AddTo(command);
        command.Options.Add(RecipeOptions.Create());
        shared.AddTo(command);
        HelpText.Extend(command, plansOnly
            ? HelpText.Examples(
                "dotnet zqfp plan model.onnx",
                "dotnet zqfp plan model.onnx --preset best --windows 128 --window 2048 --json")
            : HelpText.Examples(
                "dotnet zqfp quantize model.onnx -o quantized/model.onnx --tokenizer tokenizer.json --calibration train.txt",
                "dotnet zqfp quantize model.onnx -o fp8/model.onnx --tokenizer tokenizer.json --calibration train.txt --weights fp8 --rank 0",
                "dotnet zqfp quantize genai-folder -o quantized-folder --for genai --profile stock --calibration train.txt",
                "dotnet zqfp quantize model.onnx -o mixed/model.onnx --tokenizer tokenizer.json --calibration train.txt --exclude '*layers.0*' --override '*down_proj*:format=fp8,rank=16'"));
        command.SetAction(result =>
        {
            var options = new QuantizeOptions
            {
                ModelPath = result.GetRequiredValue(model),
                OutputPath = result.GetValue(output) ?? Path.Combine("quantized", Path.GetFileName(result.GetRequiredValue(model))),
                TokenizerPath = result.GetValue(tokenizer),
                CalibrationPath = result.GetValue(calibration),
                Reading = reading.Of(result),
                Window = result.GetValue(window),
                Windows = result.GetValue(windows),
                WindowSeed = result.GetValue(seed),
                Activations = activations.Of(result),
                CalibrateOn = calibrateOn.Of(result),
                Selection = layers.Of(result),
                Profiles = profile.Of(result),
                AccuracyLevel = accuracy.Of(result),
                Target = target.Of(result),
                OperatorLibrary = result.GetValue(library),
                WorkFolder = result.GetValue(work),
                Threads = result.GetValue(shared.Threads),
                Quantization = preset.Of(result).Apply(new QuantizationOptions
                {
                    Format = weights.Of(result),
                    Method = method.Of(result),
                    GroupSize = result.GetValue(groupSize),
                    Constraint = constraint.Of(result),
                    Rounding = rounding.Of(result),
                    Rank = result.GetValue(rank),
                }),
            };
            return Job.Run(result, shared, (observer, cancellation) =>
            {
                if (plansOnly || result.GetValue(dryRun))
                {
                    PlanWriter.Write(PlanJob.Run(options), result.GetValue(shared.Json));
                    return ExitCodes.Success;
                }

                using var only = QuantizationLock.Acquire(() => Console.Error.WriteLine("Waiting for another quantization to end."), cancellation);
                QuantizeReport report = QuantizeJob.Run(options, observer, cancellation);
                ResultWriter.Write(report, result.GetValue(shared.Json), result.GetValue(file));
                return ExitCodes.Success;
            });
        });
        return command;
    }
}
