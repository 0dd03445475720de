using static Zqfp.OptionCommands;
using static Zqfp.OptionKind;

namespace Zqfp;

/// <summary>
/// Every option, once. The command line, recipes and their schema, the metadata and properties of a build and the reference tables of the
/// documentation are made from this list: a new option is a line here, and where a command reads it.
/// </summary>
internal static class OptionTable
{
    private const string Formats = "fp4|fp8|mxfp4|mxfp8|fp8-block|int4|int8|e3m0|e5m2";

    /// <summary>Every option, in the order of help and reference.</summary>
    public static IReadOnlyList<ToolOption> All { get; } =
    [
        // What goes in and out.
        new("--output", null, Quantizing, Place, "The quantized model; its weights go to this path with .data appended", requiredBy: Quantize, alias: "-o"),
        new("--output", null, Sweep, Place, "A folder for the tables (sweep.md, sweep.json, sweep.svg); a stopped sweep continues there",
            valueName: "FOLDER", requiredBy: Sweep, alias: "-o"),
        new("--output", null, Report, List, "The file to write: .html, .md (for the summary of a CI job) or .json (both results in one); may be repeated",
            valueName: "FILE", requiredBy: Report, alias: "-o"),
        new("--gate", null, Report, List, "What 'gate --json' wrote: perplexities and where the loss comes from; once for each quantization",
            valueName: "FILE"),
        new("--against", null, Gate, Place, "The float model it was made from", valueName: "MODEL", requiredBy: Gate),
        new("--against", null, Evaluate, Place,
            "A model to compare with over the same tokens, such as the float model: paired difference, KL divergence, worst windows", valueName: "MODEL"),
        new("--tokenizer", "Tokenizer", Computing, Input, "The model's tokenizer", "`tokenizer.json` or a SentencePiece `.model`"),
        new("--calibration", "Calibration", Quantizing | Sweep, Input, "Text to calibrate on", "a file or a folder of text that resembles the model's use",
            requiredBy: Sweep),
        new("--text", "Evaluation", Gate | Sweep, Input, "Evaluation text", "a build has a gate if it has this or tasks", requiredBy: Sweep),
        new("--text", null, Evaluate, List, "Evaluation text; may be repeated: the mean of the perplexities is printed too", valueName: "FILE"),
        new("--task", "Tasks", Measuring, Tasks,
            "A task, scored as by lm-evaluation-harness: a task file, or a built-in task with its data, as in arc_easy=arc.jsonl; may be repeated",
            "[how](tasks.md)"),
        new("--text", null, Verify, Place, "A text to feed", otherwise: "random tokens"),

        new("--logits", "Logits", Quantizing | Measuring | Inspect | Bench, Name, "The model's output that holds the logits",
            otherwise: "found by its name, its head and the vocabulary"),
        new("--logits", null, Verify, Name, "The output of both models that holds the logits", otherwise: "found by its name, its head and the vocabulary"),

        // How weights and activations are quantized.
        new("--weights", "Weights", Quantizing, Choice, "Format of the weights",
            "`mxfp4` and `mxfp8` have a scale of type UE8M0 for 32 inputs, `fp8-block` for 128 x 128 weights, whatever `--group-size` and " +
            "`--constraint` say; `int4`, `int8`, `e3m0` and `e5m2` need `--profile simulated`", words: Formats),
        new("--activations", "Activations", Quantizing, Choice, "Format of the activations, scaled for each token",
            "`int8` and `e5m2` need `--profile simulated`", words: "fp8|int8|none|e5m2"),
        new("--method", "Method", Quantizing, Choice, "How the weights' codes are chosen", "GPTQ, or plain rounding to nearest", words: "gptq|rtn"),
        new("--group-size", "GroupSize", Quantizing, Whole, "Inputs that share a scale; 0 for a whole row, -1 for the whole layer",
            byDefault: "256", minimum: -1),
        new("--constraint", "Constraint", Quantizing, Choice, "Scales that are powers of two: each scale (m1; ue8m0 stores it as 8 bits), or the ratios of the scales in a row (m2)",
            words: "m2|m1|none|ue8m0"),
        new("--rounding", "Rounding", Quantizing, Choice, "How the constraint rounds", "`ceil` is the paper's, and clips", words: "nearest|floor|ceil"),
        new("--scale-storage", "ScaleStorage", Quantizing, Choice, "Type that scales are rounded to before any weight is quantized",
            "the model always stores them as float32; `float16` is for runtimes that store them as float16", words: "float32|float16"),
        new("--damping", "Damping", Quantizing, Fraction, "Share of the mean of the Hessian's diagonal that GPTQ adds to the diagonal",
            "raised if a layer's Hessian is not positive definite with it", byDefault: "0.01"),
        new("--rank", "Rank", Quantizing, Whole, "Rank of the low-rank branch (LoRC), 0 for none", byDefault: "8"),
        new("--bits", "Bits", Quantizing, Positive,
            "Choose format, group and rank layer by layer, by errors measured on the calibration text: at most this many bits per weight on average",
            "[how](command-line.md#budgets)"),
        new("--size", "Size", Quantizing, OptionKind.Size, "The same, for model files of at most this size, such as 3GB or 750MB"),
        new("--max-increase", "MaxCalibrationIncrease", Quantizing, Percentage,
            "The same: the smallest model whose perplexity rises by at most this much on held-out calibration windows"),
        new("--head", "Head", Quantizing, Choice, "How the layer that computes the logits is stored: unchanged, or as FP8 with a scale per token",
            "[figures](accuracy.md#head-and-embedding)", words: "float|fp8"),
        new("--embedding", "Embedding", Quantizing, Choice,
            "How the embedding table is stored; if it is tied to the head and both are fp8, it is stored once",
            "[figures](accuracy.md#head-and-embedding)", words: "float|fp8"),
        new("--calibrate-on", "CalibrateOn", Quantizing, Choice,
            "Input of layers in calibration: from the quantized layers before them, or the float model's activations", words: "quantized|float"),
        new("--target", "LayerTarget", Quantizing, Choice,
            "What the quantized weights are fitted to: the float weights' output for the quantized model's activations (none), " +
            "the float layer's output (layer), also the float model's residual stream (residual), or as in the preset",
            "[figures](accuracy.md)", words: "preset|none|layer|residual"),
        new("--bias", "Bias", Quantizing, Choice,
            "Whether biases stay (float) or, where all layers of an input have one, are moved to where the mean of the layer's output is that of its target (fitted)",
            "[figures](accuracy.md#tried-and-not-kept)", words: "float|fitted"),
        new("--rotation", "Rotation", Quantizing, Choice,
            "Block size of a Hadamard rotation of the inputs before they are rounded: none, chosen by error on held-out calibration windows (auto), " +
            "at most this many, or as in the preset", "[figures](accuracy.md)", words: "preset|none|auto|8|16|32|64|128"),
        new("--profile", "Profile", Quantizing, ChoiceList,
            "How the model is written: operators of domain zqfp (custom), 8-bit MatMulNBits for any ONNX Runtime (stock), operators with function bodies for any runtime (portable), standard ONNX (qdq). " +
            "Of several, the first goes to the output, the others beside it with the profile's name before the extension. " +
            "Float weights to evaluate any format (simulated), alone", words: "custom|stock|portable|qdq|simulated"),
        new("--accuracy-level", "AccuracyLevel", Quantizing, Whole,
            "What MatMulNBits may round activations to in the profile stock: int8 (4), bfloat16 (3), float16 (2), float32 (1), the runtime's choice (0)",
            byDefault: "4"),
        new("--fuse", "Fuse", Quantizing, Choice,
            "Fewer, larger operators (custom, portable): products of one input as one, norms and activations that quantize their output (all)",
            "[for GPUs](hopper.md)", words: "none|all"),
        new("--for", "For", Quantizing, Choice,
            "Output: an ONNX file (onnx), or a folder for ONNX Runtime GenAI from another one (genai)", "[how](genai.md)", words: "onnx|genai"),
        new("--operators-library", "OperatorsLibrary", Quantizing, Input,
            "The operators' native library that goes into a GenAI folder of the profile custom", otherwise: "the one beside the tool"),
        new("--preset", "Preset", Quantizing, Choice,
            "Effort per layer at the same bits: improvements on the paper (default), the paper's recipe (paper), " +
            "more refinement in three times the time (best); or FP8 for all layers except the experts of a mixture (hybrid)",
            "[figures](results.md)", words: "default|paper|best|hybrid"),
        new("--include", "IncludeLayers", Quantizing, List,
            "Only these layers, by a pattern of the node's, the weight's or the module's name; * and ? are wildcards; may be repeated"),
        new("--exclude", "ExcludeLayers", Quantizing, List, "Layers that stay float; may be repeated"),
        new("--min-size", "MinLayerSize", Quantizing, Whole, "Layers with fewer weights stay float", byDefault: "0"),
        new("--override", "LayerOverrides", Quantizing, Overrides,
            "Options of some layers: format (fp4, fp8, mxfp4, mxfp8, fp8-block, int4, int8, e3m0, e5m2, or float for unquantized), group-size, rank; " +
            "may be repeated", words: Formats),

        // How texts are read and cut into windows.
        new("--window", "Window", Quantizing | Measuring | Sweep, Whole, "Tokens in a window; windows do not overlap", byDefault: "512", minimum: 2),
        new("--window", null, Verify, Whole, "Tokens in a window; windows do not overlap", byDefault: "128", minimum: 2),
        new("--windows", "Windows", Quantizing, Whole, "Maximum number of calibration windows, 0 for the whole text", byDefault: "96"),
        new("--windows", "EvaluationWindows", Measuring | Sweep, Whole, "Maximum number of evaluation windows", otherwise: "the whole text"),
        new("--windows", null, Verify, Whole, "Maximum number of windows", byDefault: "8", minimum: 1),
        new("--calibration-windows", null, Sweep, Whole, "Maximum number of calibration windows, 0 for the whole text", byDefault: "96"),
        new("--window-seed", "WindowSeed", Quantizing, Whole, "Draw the calibration windows from all of the text by this seed",
            "the same ones on every machine", otherwise: "the first ones", minimum: int.MinValue),
        new("--json-field", "JsonField", Quantizing | Measuring, Name, "The field of JSON lines that holds the text", byDefault: "text"),
        new("--document-marker", "DocumentMarker", Quantizing | Measuring, Text,
            "Separator of documents in plain text; not needed if it is a token"),
        new("--document-separator", "DocumentSeparator", Quantizing | Measuring, Text, "Put between documents",
            otherwise: "the tokenizer's end token, or a blank line"),
        new("--bos", "Bos", Quantizing | Measuring, Choice,
            "Where the BOS token is added: before each window if the model's tokenizer adds one to every text (auto), " +
            "nowhere, before the text, each document or each window", "`none` is GPTQ's protocol", words: "auto|none|text|document|window"),
        new("--seed", null, Verify, Whole, "Seed of the random tokens", byDefault: "1"),
        new("--prompt", null, Bench, Whole, "Tokens of the prompt", byDefault: "256", minimum: 1),
        new("--tokens", null, Bench, Whole, "Tokens to generate after it", byDefault: "64", minimum: 1),
        new("--rounds", null, Bench, Whole, "Rounds to measure; the result is their median", byDefault: "5", minimum: 1),
        new("--table", null, Sweep, Choice, "Which table to make", words: "all|formats|constraints|ranks|encodings|presets"),

        // Limits.
        new("--max-increase", "MaxPerplexityIncrease", Gate, Percentage,
            "Largest allowed increase of perplexity over the float model's; fails when the 95 % interval is above it",
            otherwise: "5%, unless a perplexity, KL, top-1 or baseline limit is given"),
        new("--max-drop", "MaxDrop", Gate, Percentage,
            "Largest allowed drop of a task's accuracy, in percentage points; fails when the 95 % interval is above it", otherwise: "1%"),
        new("--max-kl", "MaxKl", Gate, Positive,
            "Largest allowed mean KL divergence from the float model, in nats per token; fails when the 95 % interval is above it"),
        new("--min-top1", "MinTop1", Gate, Percentage,
            "Smallest allowed share of tokens with the same top-1 prediction in both models; fails when the 95 % interval is below it"),
        new("--max-perplexity", "MaxPerplexity", Gate, Positive, "Largest allowed perplexity"),
        new("--baseline", "Baseline", Gate, Input, "A file of accepted results, to be committed; fails when perplexity exceeds the accepted one by more than --max-regression",
            "with an entry per model; models may share it, also those of projects built in parallel"),
        new("--baseline-name", null, Gate, Name, "The model's name in that file", otherwise: "its file name"),
        new("--max-regression", "MaxRegression", Gate, Percentage,
            "Largest allowed increase over the baseline; fails when the 95 % interval is above it", otherwise: "0.1%"),
        new("--update-baseline", null, Gate, Flag, "Accept this result: write it to the baseline"),
        new("--divergence", null, Gate, Flag, "Also measure KL divergence and top-1 agreement: runs both models side by side"),
        new("--device", "Device", Measuring | Verify | Bench, Choice,
            "Where models run: on the CPU, on a Hopper GPU with ONNX Runtime's CUDA provider (cuda), only the quantized products on it " +
            "(cuda-products), or on the GPU if there is one (auto)", words: "cpu|cuda|cuda-products|auto"),

        new("--device", null, Quantizing, Choice,
            "Where quantizing computes: on the CPU, on a GPU, the model too with ONNX Runtime's CUDA provider (cuda), only what quantizes layers on it " +
            "(cuda-products), or on the GPU if there is one (auto)", "[what is the same](hopper.md#quantizing)", words: "cpu|cuda|cuda-products|auto"),
        new("--gpu", null, Quantizing, Whole, "Number of the GPU, of those that the process sees",
            otherwise: "0; shards take one after the other"),

        // Files of a run, and what a command shows.
        new("--work", null, Quantizing, Place, "A folder for finished layers, from which an interrupted run continues",
            "[pruned](build-integration.md#what-is-kept-and-for-how-long); without it they are stored beside the output and deleted at the end", valueName: "FOLDER"),
        new("--shard", null, Quantize, OptionKind.Shard,
            "Quantize one of N equal shares of the layers into the folder of --work and write no model, such as 2/4; auto: as the environment of an array's task says",
            "[how](scale.md)"),
        new("--merge", null, Quantize, Flag, "Write the model from the layers that all shards left in the folder of --work; quantize none", "[how](scale.md)"),
        new("--shards", null, Quantizing, Whole, "Into how many shards the work is divided: plan says what each needs, --merge which are missing",
            "[how](scale.md)", minimum: 1),
        new("--slurm", null, Submit, Flag, "Write a script that submits an array and a merge that depends on it, to be run with sh"),
        new("--kubernetes", null, Submit, Flag, "Write an Indexed Job and a suspended Job for the merge, to be applied with kubectl"),
        new("--shards", null, Submit, Whole, "Into how many tasks the layers are divided", requiredBy: Submit, minimum: 1),
        new("--output", null, Submit, Place, "The file to write", otherwise: "standard output", alias: "-o"),
        new("--name", null, Submit, Name, "The name of the jobs", otherwise: "from the model's output"),
        new("--tool", null, Submit, Text, "How the tool is started there, as a shell reads it", byDefault: "dotnet zqfp", valueName: "COMMAND"),
        new("--sbatch", null, Submit, List, "An option for sbatch, such as --sbatch=--partition=long; may be repeated", valueName: "OPTION"),
        new("--image", null, Submit, Name, "The container image, in which the tool is", valueName: "IMAGE"),
        new("--claim", null, Submit, Name, "The PersistentVolumeClaim that holds model, texts and the work folder; pods of several nodes write to it",
            valueName: "NAME"),
        new("--mount", null, Submit, Name, "Where it is mounted, and where paths of the command begin", byDefault: "/data", valueName: "PATH"),
        new("--cache", null, Measuring, Place, "A folder for results, which are cached by content", valueName: "FOLDER"),
        new("--dry-run", null, Quantize, Flag, "Print what would be done and estimate memory, disk and time; write nothing"),
        new("--result", null, Quantize | Gate, Place, "Also write the result to this file, as JSON: 'report' reads it"),
        new("--recipe", null, Quantizing | Gate, Place, "A JSON file of options; options given here take precedence ('dotnet zqfp schema' prints its schema)"),
        new("--memory", null, Quantizing, OptionKind.Size,
            "Memory used at most, estimated, such as 16GB; values between slices are then in files; the result does not depend on it",
            "[how](scale.md#memory)", otherwise: "no limit"),
        new("--threads", null, Computing, Whole, "Maximum number of threads; the result does not depend on it", otherwise: "one per processor"),
        new("--threads", null, Bench, Whole, "Number of threads", otherwise: "one per processor"),
        new("--json", null, Computing | Inspect | Doctor | Bench, Flag, "Write the result as JSON"),
        new("--quiet", null, Computing | Inspect | Doctor | Report | Bench | Submit, Flag, "Show no progress", alias: "-q"),

        // What a build alone reads.
        new("", "Recipe", None, Place, "A JSON file of options", "[below](#recipes)"),
        new("", "Report", None, Flag, "Whether [reports](#reports) are written", byDefault: "true"),
        new("", "PublishReport", None, Flag, "Whether reports are published too", byDefault: "false"),
    ];

    /// <summary>The options of one command.</summary>
    public static IEnumerable<ToolOption> Of(OptionCommands command) => All.Where(option => option.IsOf(command));

    /// <summary>The options that a recipe can hold, each of which is metadata of a <c>ZqfpModel</c> too.</summary>
    public static IEnumerable<ToolOption> InRecipes => All.Where(option => option.Key is not null);

    /// <summary>The metadata of a <c>ZqfpModel</c>.</summary>
    public static IEnumerable<ToolOption> InProjects => All.Where(option => option.Metadata is not null);
}
