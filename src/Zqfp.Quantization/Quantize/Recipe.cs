using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Names a set of options the way people talk about it.</summary>
internal static class Recipe
{
    /// <summary>Such as <c>FP4 E2M1 g256 M2 GPTQ (act-order, scale search, 2 sweeps) + LoRC 8, FP8 activations</c>.</summary>
    public static string Describe(QuantizeOptions options) => Describe(options, options.Profiles[0]);

    /// <summary>The recipe of a file of <paramref name="profile"/>.</summary>
    public static string Describe(QuantizeOptions options, EmissionProfile profile)
    {
        QuantizationOptions weights = options.Quantization;
        string group = weights.GroupSize switch
        {
            QuantizationOptions.WholeRow => "per row",
            QuantizationOptions.WholeTensor => "per layer",
            int size when weights.GroupRows > 1 => $"{weights.GroupRows}x{size}",
            int size => $"g{size}",
        };
        string constraint = weights.Constraint switch
        {
            ScaleConstraint.None => "",
            _ when weights.Rounding == PowerRounding.Nearest => $" {weights.Constraint.ToString().ToUpperInvariant()}",
            _ => $" {weights.Constraint.ToString().ToUpperInvariant()} ({weights.Rounding.ToString().ToLowerInvariant()})",
        };
        string lowRank = weights.Rank > 0 ? $" + LoRC {weights.Rank}" : "";
        string[] extras =
        [
            .. weights.ActOrder ? ["act-order"] : (string[])[],
            .. weights.ScaleSearch != ScaleSearch.None ? ["scale search"] : (string[])[],
            .. weights.RefineSweeps > 0 ? [$"{weights.RefineSweeps} sweeps"] : (string[])[],
            .. options.LayerTarget == LayerTarget.None ? (string[])[] : [$"{options.LayerTarget.ToString().ToLowerInvariant()} target"],
            .. options.Bias == LayerBias.Fitted ? ["fitted biases"] : (string[])[],
            .. options.Rotation switch
            {
                QuantizeOptions.NoRotation => (string[])[],
                QuantizeOptions.AutoRotation => ["rotation where it helps"],
                int block => [$"rotation by {block}"],
            },
        ];
        string how = extras.Length > 0 ? $" ({string.Join(", ", extras)})" : "";
        string activations = profile == EmissionProfile.Stock ? $"activations of MatMulNBits level {options.AccuracyLevel}"
            : options.Activations == ActivationFormat.None ? "float activations"
            : $"{ActivationName(options.Activations)} activations";
        string vocabulary = (options.Head, options.Embedding) switch
        {
            (VocabularyFormat.Fp8, VocabularyFormat.Fp8) => ", FP8 head and embedding",
            (VocabularyFormat.Fp8, _) => ", FP8 head",
            (_, VocabularyFormat.Fp8) => ", FP8 embedding",
            _ => "",
        };
        string simulated = options.IsSimulated ? " (simulated)" : "";
        string source = options.CalibrateOn == CalibrationSource.Float && QuantizeOptionRules.NeedsCalibration(weights)
            ? ", calibrated on float"
            : "";
        string dense = options.DenseFormat is { } format ? $"{FormatName(format)} and for experts " : "";
        return $"{dense}{FormatName(weights.Format)} {group}{constraint} {weights.Method.ToString().ToUpperInvariant()}{how}{lowRank}, "
            + $"{activations}{vocabulary}{source}{simulated}";
    }

    /// <summary>Such as <c>FP4 E2M1</c> or <c>INT4</c>.</summary>
    public static string FormatName(NumberFormat format) => format.IsInteger ? format.Name : $"FP{format.Bits} {format.Name}";

    private static string ActivationName(ActivationFormat format) => format switch
    {
        ActivationFormat.Fp8E5M2 => "FP8 E5M2",
        _ => format.ToString().ToUpperInvariant(),
    };
}
