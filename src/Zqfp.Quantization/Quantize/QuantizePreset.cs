using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>How much work goes into each layer, at the same bits.</summary>
internal enum QuantizePreset
{
    /// <summary>
    /// ZeroQuant-FP's recipe and what improved on it since: searched scales, columns by importance, refinement of the codes,
    /// a low-rank branch that minimizes the error of the output.
    /// </summary>
    Default,

    /// <summary>ZeroQuant-FP's recipe as published.</summary>
    Paper,

    /// <summary>As <see cref="Default"/>, with more refinement: about three times the time.</summary>
    Best,

    /// <summary>
    /// As <see cref="Default"/> for the experts of a mixture; every other layer in FP8 without a correction, and routers float: what
    /// DeepSeek-V4 ships.
    /// </summary>
    Hybrid,
}

/// <summary>What the presets mean; figures in <c>docs/results.md</c>.</summary>
internal static class QuantizePresets
{
    /// <summary>
    /// As <see cref="Apply(QuantizePreset, QuantizationOptions)"/> for the layers, and sets what they reproduce and whether inputs are
    /// rotated.
    /// </summary>
    public static QuantizeOptions Apply(this QuantizePreset preset, QuantizeOptions options)
    {
        bool isPlain = preset == QuantizePreset.Paper || options.Quantization.Method == QuantizationMethod.Rtn;
        return options with
        {
            Quantization = preset.Apply(options.Quantization),
            DenseFormat = preset == QuantizePreset.Hybrid ? NumberFormat.E4M3 : options.DenseFormat,
            KeepsRouters = preset == QuantizePreset.Hybrid || options.KeepsRouters,
            LayerTarget = isPlain ? options.LayerTarget : LayerTarget.Residual,
            Rotation = isPlain || options.Activations == ActivationFormat.None ? options.Rotation : QuantizeOptions.AutoRotation,
        };
    }

    /// <summary>Sets what <paramref name="preset"/> decides and leaves formats, groups, constraint and rank as they are.</summary>
    /// <remarks>Rounding to nearest is a baseline that needs no calibration, so no preset adds to it.</remarks>
    public static QuantizationOptions Apply(this QuantizePreset preset, QuantizationOptions options) =>
        preset == QuantizePreset.Paper || options.Method == QuantizationMethod.Rtn
            ? options
            : options with
            {
                ScaleSearch = ScaleSearch.Pivot,
                ActOrder = true,
                LowRankWeighting = LowRankWeighting.ActivationWeighted,
                RefineSweeps = preset == QuantizePreset.Best ? 4 : 2,
                LowRankRefits = preset == QuantizePreset.Best ? 4 : 1,
                RefitScales = true,
                SparesBranch = true,
            };
}
