using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Identifies a layer's quantization by everything it depends on.</summary>
/// <param name="Hash">64 lower-case hexadecimal digits, or a number.</param>
internal readonly record struct LayerKey(string Hash);

/// <summary>
/// Computes keys before anything is run: a layer depends on the code, its options, the calibration tokens, the model with all its
/// weights, and, where it is calibrated on what quantized layers make, the layers of the stages before it.
/// </summary>
internal static class LayerKeys
{
    /// <summary>The code that makes layers.</summary>
    public static string Build { get; } = $"{CodeIdentity.Value}|{typeof(LayerKeys).Module.ModuleVersionId}";

    /// <summary>One key for each layer, in the order the layers run.</summary>
    /// <param name="options">The options of the run.</param>
    /// <param name="file">The model.</param>
    /// <param name="stages">The stages.</param>
    /// <param name="weights">The options of each layer.</param>
    /// <param name="windows">The calibration windows; none where nothing is calibrated.</param>
    /// <param name="inputs">The inputs of the run, which the model's files are added to.</param>
    /// <param name="cancellation">Ends reading the model.</param>
    public static LayerKey[] Of(
        QuantizeOptions options, OnnxFile file, IReadOnlyList<CalibrationStage> stages, Func<LinearLayer, QuantizationOptions> weights,
        IReadOnlyList<int[]> windows, InputFiles inputs, CancellationToken cancellation)
    {
        bool isSequential = windows.Count > 0 && options.CalibrateOn == CalibrationSource.Quantized;
        byte[] before = Start(options, file, windows, inputs, cancellation);
        List<LayerKey> keys = [];
        foreach (CalibrationStage stage in stages)
        {
            bool readsFloat = options.Head == VocabularyFormat.Fp8 && stage.Layers.All(layer => layer.IsHead);
            string reading = readsFloat ? "|float input" : "";
            byte[][] stageKeys =
            [
                .. stage.Layers.Select(layer => SHA256.HashData(
                    [.. before, .. Encoding.UTF8.GetBytes(Describe(layer, weights(layer)) + reading + Joined(stage, layer))]))
            ];
            keys.AddRange(stageKeys.Select(key => new LayerKey(Convert.ToHexStringLower(key))));
            if (isSequential)
            {
                before = SHA256.HashData([.. stageKeys.SelectMany(key => key)]);
            }
        }

        return [.. keys];
    }

    /// <summary>Keys that tell the layers of one run apart and nothing else: nothing has to be read for them.</summary>
    public static LayerKey[] Numbered(IReadOnlyList<CalibrationStage> stages) =>
        [.. stages.SelectMany(stage => stage.Layers).Select((_, i) => new LayerKey(i.ToString("D5", CultureInfo.InvariantCulture)))];

    /// <summary>Identifies what the float model makes of the calibration windows, whatever is quantized and how.</summary>
    public static string OfFloat(
        QuantizeOptions options, OnnxFile file, IReadOnlyList<int[]> windows, InputFiles inputs, CancellationToken cancellation) =>
        Convert.ToHexStringLower(Start(options, file, windows, inputs, cancellation));

    /// <summary>All layers that are quantized as one matrix with a layer: another set of them has another matrix.</summary>
    private static string Joined(CalibrationStage stage, LinearLayer one) => !one.IsExpert
        ? ""
        : string.Concat(stage.Layers
            .Where(layer => layer.Matrix == one.Matrix && layer.SharesWeightOf is null)
            .Select(layer => $"|{layer.Name}"));

    private static string Describe(LinearLayer layer, QuantizationOptions options) =>
        $"{layer.Name}|{layer.SharesWeightOf}|{layer.JoinedTo}|{options with { MaxThreads = 0 }}|{options.Format.Name}";

    private static byte[] Start(
        QuantizeOptions options, OnnxFile file, IReadOnlyList<int[]> windows, InputFiles inputs, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(
            $"{Build}|{options.Activations}|{options.CalibrateOn}|"
            + $"{options.LayerTarget}|{options.Bias}|{options.Rotation}|{options.IsSimulated}|{options.Embedding}"
            + (options.Device == ZqfpDevice.Cuda ? "|cuda" : "")));
        hash.AppendData(ContentHash.OfModel(file, inputs, cancellation));
        hash.AppendWindows(windows);
        return hash.GetHashAndReset();
    }
}
