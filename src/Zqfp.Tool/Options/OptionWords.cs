using System.Globalization;
using Zqfp.Numerics;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary>Words of options that are not the names of what they stand for.</summary>
internal static class OptionWords
{
    /// <summary>What a format says of weights: of MX and DeepSeek also which of them share a scale, and that it is UE8M0.</summary>
    public static LayerOverride Format(string word, LayerOverride entry) => word switch
    {
        "mxfp4" => Scaled(entry, NumberFormat.E2M1, rows: 1, QuantizationOptions.MxGroup),
        "mxfp8" => Scaled(entry, NumberFormat.E4M3, rows: 1, QuantizationOptions.MxGroup),
        "fp8-block" => Scaled(entry, NumberFormat.E4M3, QuantizationOptions.SquareBlock, QuantizationOptions.SquareBlock),
        _ => entry with { Format = Format(word) },
    };

    private static NumberFormat Format(string word) => word switch
    {
        "fp4" => NumberFormat.E2M1,
        "fp8" => NumberFormat.E4M3,
        "int4" => NumberFormat.Int4,
        "int8" => NumberFormat.Int8,
        "e3m0" => NumberFormat.E3M0,
        "e5m2" => NumberFormat.E5M2,
        _ => throw new ArgumentOutOfRangeException(nameof(word), word, "This word stands for no format."),
    };

    public static ActivationFormat Activations(string word) => word switch
    {
        "fp8" => ActivationFormat.Fp8,
        "int8" => ActivationFormat.Int8,
        "none" => ActivationFormat.None,
        "e5m2" => ActivationFormat.Fp8E5M2,
        _ => throw new ArgumentOutOfRangeException(nameof(word), word, "This word stands for no format of activations."),
    };

    /// <summary>The target, or null for that of the preset.</summary>
    public static LayerTarget? Target(string word) => word == "preset" ? null : Enum.Parse<LayerTarget>(word, ignoreCase: true);

    /// <summary>The rotation, or null for that of the preset.</summary>
    public static int? Rotation(string word) => word switch
    {
        "preset" => null,
        "none" => QuantizeOptions.NoRotation,
        "auto" => QuantizeOptions.AutoRotation,
        _ => int.Parse(word, CultureInfo.InvariantCulture),
    };

    /// <summary>The table, or null for all of them.</summary>
    public static SweepTable? Table(string word) => word == "all" ? null : Enum.Parse<SweepTable>(word, ignoreCase: true);

    private static LayerOverride Scaled(LayerOverride entry, NumberFormat format, int rows, int columns) =>
        entry with { Format = format, GroupRows = rows, GroupSize = columns, Constraint = ScaleConstraint.Ue8M0 };
}
