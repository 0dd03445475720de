using Zqfp.CudaOps;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Refuses options that contradict each other or are not supported, before any work is done.</summary>
internal static class QuantizeOptionRules
{
    /// <summary>Checks <paramref name="options"/>.</summary>
    /// <exception cref="ZqfpException">ZQFP0002 to ZQFP0006.</exception>
    public static void Check(QuantizeOptions options)
    {
        CheckOutputs(options);
        CheckChoices(options);
    }

    /// <summary>Checks that the outputs overwrite no input and are no folders.</summary>
    /// <exception cref="ZqfpException">ZQFP0002, ZQFP0003.</exception>
    public static void CheckOutputs(QuantizeOptions options)
    {
        foreach (string output in ProfileFiles.Of(options).Select(file => file.Path))
        {
            foreach (string input in ((string?[])[options.ModelPath, options.TokenizerPath, options.CalibrationPath]).OfType<string>())
            {
                if (input.Length > 0 && (RealPath.AreSame(input, output) || RealPath.AreSame(input, output + ".data")))
                {
                    throw new ZqfpException("ZQFP0003", $"The output would overwrite '{input}'. Choose another --output.", output);
                }
            }

            if (Directory.Exists(output))
            {
                throw new ZqfpException("ZQFP0002", "The output is a folder. Name the file to write, such as model.onnx in it.", output);
            }
        }
    }

    private static void CheckChoices(QuantizeOptions options)
    {
        if (options.Window < 2)
        {
            throw new ZqfpException("ZQFP0004", $"A window of {options.Window} tokens predicts nothing; use 2 or more.");
        }

        if (options.AccuracyLevel is < 0 or > 4)
        {
            throw new ZqfpException("ZQFP0005", $"MatMulNBits has the accuracy levels 0 to 4, not {options.AccuracyLevel}.");
        }

        if (!options.IsSimulated)
        {
            CheckFormats(options.Quantization, options.Activations);
        }
        else if (options.Profiles.Count > 1)
        {
            throw new ZqfpException("ZQFP0005", "The profile 'simulated' stands alone: it runs other operators than the others.");
        }

        if (options.Rotation is not (QuantizeOptions.NoRotation or QuantizeOptions.AutoRotation or 8 or 16 or 32 or 64 or 128))
        {
            throw new ZqfpException(DiagnosticCodes.InvalidOption,
                $"A rotation of {options.Rotation} is not possible; use none, auto, or a power of two from 8 to 128.");
        }

        if (options.Rotation > 0 && options.Activations == ActivationFormat.None)
        {
            throw new ZqfpException("ZQFP0005",
                "The rotation is part of rounding the activations, which float activations leave out. Use --rotation none, or fp8 "
                + "activations.");
        }

        if (options.Bias == LayerBias.Fitted && options.LayerTarget == LayerTarget.None)
        {
            throw new ZqfpException("ZQFP0005",
                "Biases are fitted to the mean of the layers' target, and --target none leaves that out. Use --target residual or layer.");
        }

        CheckShards(options);
        if (options.Memory is not null && options.Budget is not null)
        {
            throw new ZqfpException("ZQFP0043",
                "A budget is measured on the whole model, which --memory does not limit. Choose a plan without --memory, and quantize by "
                + "its recipe (--recipe) with it.");
        }

        if (options.Budget is not null)
        {
            CheckBudget(options, options.Budget);
        }

        if (options.CalibrationPath is null && NeedsCalibration(options))
        {
            throw new ZqfpException(
                "ZQFP0006", options.Budget is null
                    ? "GPTQ measures the layers' inputs and needs text for that. Give --calibration, or choose --method rtn."
                    : "A budget is kept by what errors cost on the calibration text, and there is none. Give --calibration.");
        }
    }

    /// <summary>Checks that the texts that <paramref name="options"/> name are there, and that the output can be written.</summary>
    /// <exception cref="ZqfpException">ZQFP0002, ZQFP0007, ZQFP0101, ZQFP0109.</exception>
    public static void CheckFiles(QuantizeOptions options)
    {
        if (NeedsCalibration(options.Quantization) || options.Budget is not null)
        {
            RequireFile("ZQFP0109", "text", options.CalibrationPath, "Name a file or a folder.");
            RequireFile("ZQFP0101", "tokenizer", options.TokenizerPath, "Name a tokenizer.json or a SentencePiece .model.");
        }

        RequirePlaces(options);
    }

    /// <summary>Checks that what <paramref name="options"/> write can be written.</summary>
    /// <exception cref="ZqfpException">ZQFP0002, ZQFP0007.</exception>
    public static void RequirePlaces(QuantizeOptions options)
    {
        RequireWritable(options.OutputPath);
        if (options.WorkFolder is { } work && WritablePlace.ProblemOfFolder(work) is { } problem)
        {
            throw new ZqfpException(
                "ZQFP0007", $"No finished layers can be kept in '{work}': {problem} Choose another --work folder.", work);
        }
    }

    /// <summary>Checks that there are operators for a layer that is quantized so.</summary>
    /// <exception cref="ZqfpException">ZQFP0005.</exception>
    public static void CheckFormats(QuantizationOptions weights, ActivationFormat activations)
    {
        Refuse(activations is ActivationFormat.Int8 or ActivationFormat.Fp8E5M2,
            $"activation format '{(activations == ActivationFormat.Int8 ? "int8" : "e5m2")}'", "fp8 or none");
        Refuse(
            weights.Format != NumberFormat.E2M1 && weights.Format != NumberFormat.E4M3,
            $"weight format '{weights.Format.Name}'",
            "fp4 or fp8");
        bool hasExponents = weights.Constraint is ScaleConstraint.M2 or ScaleConstraint.Ue8M0;
        Refuse(
            activations == ActivationFormat.None && !hasExponents,
            "combination of float activations with this constraint",
            "constraint m2 or ue8m0, or fp8 activations");
        Refuse(
            weights.Format == NumberFormat.E4M3 && !hasExponents,
            "combination of fp8 weights with this constraint",
            "constraint m2 or ue8m0");
    }

    /// <summary>Whether quantizing a layer needs the Hessian of its inputs.</summary>
    public static bool NeedsCalibration(QuantizationOptions options) =>
        options.Method == QuantizationMethod.Gptq
        || options.ScaleSearch is ScaleSearch.Diagonal or ScaleSearch.Pivot
        || (options.Rank > 0 && options.LowRankWeighting == LowRankWeighting.ActivationWeighted);

    /// <summary>The nearest to <paramref name="options"/> that needs no Hessian.</summary>
    public static QuantizationOptions WithoutCalibration(QuantizationOptions options) => options with
    {
        Method = QuantizationMethod.Rtn,
        ScaleSearch = options.ScaleSearch is ScaleSearch.Diagonal or ScaleSearch.Pivot ? ScaleSearch.None : options.ScaleSearch,
        LowRankWeighting = LowRankWeighting.Plain,
    };

    /// <summary>Whether a run needs calibration text.</summary>
    public static bool NeedsCalibration(QuantizeOptions options) =>
        NeedsCalibration(options.Quantization) || options.LayerTarget != LayerTarget.None
            || options.Rotation == QuantizeOptions.AutoRotation || options.Budget is not null;

    /// <summary>Checks that shards can do what <paramref name="options"/> ask for.</summary>
    /// <exception cref="ZqfpException">ZQFP0040.</exception>
    public static void CheckShards(QuantizeOptions options)
    {
        string? why = options switch
        {
            { Shard: null, MergesOnly: false, Shards: null } => null,
            { Shard: not null, MergesOnly: true } =>
                "--shard quantizes, and --merge writes what all shards have quantized: one after the other",
            { Budget: not null } => "a budget is kept over all layers at once, and shards do not know of each other",
            { WorkFolder: null } when options.Shard is not null || options.MergesOnly =>
                "shards leave their layers in the folder of --work, which all of them share",
            { Device: ZqfpDevice.Auto } when options.Shard is not null || options.MergesOnly =>
                "with --device auto each process would choose for itself; name cpu, cuda-products or cuda, the same for all",
            { CalibrateOn: CalibrationSource.Quantized, Shards: not null, Shard: null, MergesOnly: false } when NeedsCalibration(options) =>
                "what each shard needs is told for --calibrate-on float; otherwise shards go from stage to stage together",
            _ => null,
        };
        if (why is not null)
        {
            throw new ZqfpException("ZQFP0040", $"The work cannot be divided so: {why}.");
        }
    }

    /// <summary>Refuses a number of shards where no work would be divided by it.</summary>
    /// <exception cref="ZqfpException">ZQFP0040.</exception>
    public static void RequireDivision(QuantizeOptions options)
    {
        if (options.Shards is { } count && !options.MergesOnly && options.Shard?.Count != count)
        {
            throw new ZqfpException("ZQFP0040", options.Shard is { } shard
                ? $"--shard {shard} and --shards {count} name different numbers of shards. Leave --shards out."
                : $"--shards {count} alone divides nothing: each process quantizes one shard. Start {count} of them, from --shard "
                    + $"1/{count} on, or let 'submit' write a script that does; 'plan' takes --shards alone.");
        }
    }

    private static void CheckBudget(QuantizeOptions options, Budget budget)
    {
        int given = (budget.Bits is null ? 0 : 1) + (budget.Bytes is null ? 0 : 1) + (budget.MaxIncrease is null ? 0 : 1);
        string? why = options switch
        {
            _ when given != 1 => "--bits, --size and --max-increase are one budget each: give one of them",
            { IsSimulated: true } => "the profile 'simulated' stores float weights, so there is no budget to keep",
            _ when options.Profiles[0] == EmissionProfile.Stock =>
                "the profile 'stock' stores 8 bits for a weight of any format; put custom or portable first",
            _ when options.Quantization.Format != NumberFormat.E2M1 =>
                "a budget chooses the weights' format layer by layer: leave --weights out, and say by --override what is to be different",
            _ when options.Quantization.Constraint != ScaleConstraint.M2 => "FP8 layers need the constraint m2",
            _ => null,
        };
        if (why is not null)
        {
            throw new ZqfpException("ZQFP0033", $"This budget is not possible: {why}.");
        }
    }

    private static void RequireFile(string code, string kind, string? path, string instead)
    {
        if (!string.IsNullOrEmpty(path) && !Path.Exists(path))
        {
            throw new ZqfpException(code, $"The {kind} '{path}' does not exist. {instead}", path);
        }
    }

    /// <summary>Checks that an output can be written; nothing stays.</summary>
    /// <exception cref="ZqfpException">ZQFP0002.</exception>
    public static void RequireWritable(string output)
    {
        if (WritablePlace.ProblemOfFile(output) is { } problem)
        {
            throw new ZqfpException("ZQFP0002", $"'{output}' cannot be written: {problem} Choose another --output.", output);
        }
    }

    private static void Refuse(bool unsupported, string what, string instead)
    {
        if (unsupported)
        {
            throw new ZqfpException("ZQFP0005", $"The {what} has no operator. Use {instead}, or --profile simulated to measure it.");
        }
    }
}
