using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>How a layer's input is rounded while the model runs.</summary>
internal enum ActivationFormat
{
    /// <summary>FP8 E4M3, one scale per token.</summary>
    Fp8,

    /// <summary>FP8 E5M2, one scale per token.</summary>
    Fp8E5M2,

    /// <summary>INT8, one scale per token.</summary>
    Int8,

    /// <summary>Not at all.</summary>
    None,
}

/// <summary>Whose activations layers are calibrated on.</summary>
internal enum CalibrationSource
{
    /// <summary>On what each layer really reads: what the quantized layers before it make.</summary>
    Quantized,

    /// <summary>On what it reads in the float model: no layer depends on another.</summary>
    Float,
}

/// <summary>What is written.</summary>
internal enum OutputTarget
{
    /// <summary>An ONNX file and its external data.</summary>
    Onnx,

    /// <summary>A folder for ONNX Runtime GenAI.</summary>
    GenAi,
}

/// <summary>What becomes of the biases of quantized layers.</summary>
internal enum LayerBias
{
    /// <summary>They stay.</summary>
    Float,

    /// <summary>
    /// A layer's bias is moved so that the mean of its output is that of its target, and its weights are fitted to what is left, where
    /// all layers that read its input have one.
    /// </summary>
    Fitted,
}

/// <summary>What a layer's quantized weights are to reproduce on the calibration text.</summary>
internal enum LayerTarget
{
    /// <summary>What the float weights make of the input that the layer will read: <c>W a</c>.</summary>
    None,

    /// <summary>What the float layer makes in the float model: <c>W x</c>. The input's error is compensated too.</summary>
    Layer,

    /// <summary>
    /// As <see cref="Layer"/>; and layers whose output is added to the residual stream also take over what the stream has drifted from the
    /// float model's there.
    /// </summary>
    Residual,
}

/// <summary>What to quantize, on which text, and how. The defaults are ZeroQuant-FP's recipe.</summary>
internal sealed record QuantizeOptions
{
    /// <summary>The float model: an ONNX file, or a GenAI folder that has one.</summary>
    public required string ModelPath { get; init; }

    /// <summary>
    /// Where the quantized model goes, in the first profile; its weights go to this path with <c>.data</c> appended. A folder where
    /// <see cref="Target"/> is <see cref="OutputTarget.GenAi"/>.
    /// </summary>
    public required string OutputPath { get; init; }

    /// <summary>The model's output that holds the logits; null to choose it by what the graph shows.</summary>
    public string? Logits { get; init; }

    /// <summary>Text to calibrate on. May be null for round-to-nearest without search, which needs none.</summary>
    public string? CalibrationPath { get; init; }

    /// <summary>
    /// The model's tokenizer; may be null where the calibration data are token ids, or where the model is a GenAI folder that has one.
    /// </summary>
    public string? TokenizerPath { get; init; }

    /// <summary>How the calibration text is read.</summary>
    public TextReading Reading { get; init; } = new();

    /// <summary>
    /// Draws the calibration windows from all of the text by this seed, the same on every machine; null takes the first ones.
    /// </summary>
    public int? WindowSeed { get; init; }

    /// <summary>Tokens in a calibration window, 2 or more.</summary>
    public int Window { get; init; } = 512;

    /// <summary>Calibration windows at most; 0 for all the text has.</summary>
    public int Windows { get; init; } = 96;

    /// <summary>How weights are quantized.</summary>
    public QuantizationOptions Quantization { get; init; } = new();

    /// <summary>
    /// Format of the layers that every token goes through, without a low-rank correction; null for that of <see cref="Quantization"/>.
    /// </summary>
    public NumberFormat? DenseFormat { get; init; }

    /// <summary>Whether the layers that decide which expert a token goes to stay float.</summary>
    public bool KeepsRouters { get; init; }

    /// <summary>Which layers are quantized, and which differently.</summary>
    public LayerSelection Selection { get; init; } = new();

    /// <summary>Within what formats, groups and ranks are chosen layer by layer; null where the options say them.</summary>
    public Budget? Budget { get; init; }

    /// <summary>How the layer that makes the logits is stored. Float leaves it to <see cref="Selection"/>.</summary>
    public VocabularyFormat Head { get; init; }

    /// <summary>How the table that token ids are looked up in is stored.</summary>
    public VocabularyFormat Embedding { get; init; }

    /// <summary>Whose activations layers are calibrated on.</summary>
    public CalibrationSource CalibrateOn { get; init; } = CalibrationSource.Quantized;

    /// <summary>
    /// What the quantized weights are to reproduce. With <see cref="CalibrationSource.Float"/> there is no drift, only rounded inputs.
    /// </summary>
    public LayerTarget LayerTarget { get; init; } = LayerTarget.None;

    /// <summary>What becomes of biases. Those of experts stay, and all of them without <see cref="LayerTarget"/>.</summary>
    public LayerBias Bias { get; init; }

    /// <summary>Value of <see cref="Rotation"/>: inputs are not rotated.</summary>
    public const int NoRotation = 0;

    /// <summary>
    /// Value of <see cref="Rotation"/>: chosen for each stage, none or blocks of up to 64, by error on held-out calibration windows.
    /// </summary>
    public const int AutoRotation = -1;

    /// <summary>
    /// Inputs of a block that are multiplied by a normalized Hadamard matrix before they are rounded, a power of two from 8 to 128: the
    /// largest one up to this that divides a layer's inputs is taken. Or <see cref="NoRotation"/>, <see cref="AutoRotation"/>.
    /// </summary>
    public int Rotation { get; init; } = NoRotation;

    /// <summary>How activations are rounded.</summary>
    public ActivationFormat Activations { get; init; } = ActivationFormat.Fp8;

    /// <summary>
    /// How the model is written: one file for each, all from the same numbers (see <see cref="ProfileFiles"/>); at least one.
    /// </summary>
    public IReadOnlyList<EmissionProfile> Profiles { get; init; } = [EmissionProfile.Custom];

    /// <summary>
    /// What MatMulNBits may round activations to in the profile <see cref="EmissionProfile.Stock"/>, 0 to 4: 1 float32, 2 float16, 3
    /// bfloat16, 4 int8 in blocks, which is fastest; 0 leaves the choice to the runtime.
    /// </summary>
    public int AccuracyLevel { get; init; } = ModelRewriter.DefaultAccuracyLevel;

    /// <summary>
    /// What is fused in the profiles <see cref="EmissionProfile.Custom"/> and <see cref="EmissionProfile.Portable"/>.
    /// </summary>
    public OperatorFusion Fusion { get; init; }

    /// <summary>What is written. A GenAI folder is made from a GenAI folder, in one profile: custom, stock or portable.</summary>
    public OutputTarget Target { get; init; }

    /// <summary>
    /// The operators' native library, which goes into a GenAI folder of the profile custom; null for the one beside this program.
    /// </summary>
    public string? OperatorLibrary { get; init; }

    /// <summary>Whether the formats are only simulated, with float weights.</summary>
    public bool IsSimulated => Profiles.Contains(EmissionProfile.Simulated);

    /// <summary>A folder that keeps finished layers, so that a run that was stopped continues there; null for none.</summary>
    public string? WorkFolder { get; init; }

    /// <summary>The share of the layers that this process quantizes, without writing a model; null for all of it.</summary>
    public Shard? Shard { get; init; }

    /// <summary>How long a shard waits for others that are not running, where it needs what they make.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Whether the model is written from layers that shards left, and none is quantized.</summary>
    public bool MergesOnly { get; init; }

    /// <summary>How many shards there are, for what plans and merges say about each; null where that is not said.</summary>
    public int? Shards { get; init; }

    /// <summary>Bytes of memory used at most, estimated; null for no limit. The result does not depend on it.</summary>
    public long? Memory { get; init; }

    /// <summary>Where quantizing computes; with <see cref="ZqfpDevice.CudaProducts"/> only layers are quantized on the GPU.</summary>
    public ZqfpDevice Device { get; init; }

    /// <summary>Number of the GPU, from 0.</summary>
    public int Gpu { get; init; }

    /// <summary>Threads used at most; 0 for one a processor. The result does not depend on it.</summary>
    public int Threads { get; init; }

    /// <summary>
    /// These options with the model and, where none is named, the tokenizer of the GenAI folder that <see cref="ModelPath"/> is; the same
    /// where it is none.
    /// </summary>
    /// <exception cref="ZqfpException">ZQFP0130: the folder's configuration names no model.</exception>
    internal QuantizeOptions InGenAiFolder() => GenAiFolder.Find(ModelPath) is { } folder
        ? this with { ModelPath = folder.ModelPath, TokenizerPath = TokenizerPath ?? folder.TokenizerPath }
        : this;
}
