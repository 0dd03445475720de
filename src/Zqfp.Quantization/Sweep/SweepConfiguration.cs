using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>The tables of a sweep.</summary>
internal enum SweepTable
{
    /// <summary>8 and 4 bits, integers against floating point, with and without low-rank correction: the paper's table 2.</summary>
    Formats,

    /// <summary>No constraint, M1 and M2, by rounding: the paper's table 3.</summary>
    Constraints,

    /// <summary>Ranks of the low-rank correction.</summary>
    Ranks,

    /// <summary>E2M1 against E3M0 weights, E4M3 against E5M2 activations: the paper's appendix.</summary>
    Encodings,

    /// <summary>This project's presets.</summary>
    Presets,
}

/// <summary>One way to quantize the model.</summary>
/// <param name="Name">What tells it from the others, such as <c>W4A8 FP-FP M2 nearest + LoRC 8</c>.</param>
/// <param name="Quantization">The weights.</param>
/// <param name="Activations">The activations.</param>
internal sealed record SweepConfiguration(string Name, QuantizationOptions Quantization, ActivationFormat Activations)
{
    private static readonly (string Name, PowerRounding Rounding)[] Roundings =
    [
        ("nearest", PowerRounding.Nearest), ("ceil", PowerRounding.Ceil), ("floor", PowerRounding.Floor)
    ];

    /// <summary>The paper's setting without constraint and correction: groups of 256, GPTQ.</summary>
    private static readonly QuantizationOptions Plain = new() { Constraint = ScaleConstraint.None, Rank = 0 };

    /// <summary>Whether an operator computes it; else it is simulated.</summary>
    public bool IsSimulated => Profile == EmissionProfile.Simulated;

    /// <summary>How the model is written for measuring.</summary>
    internal EmissionProfile Profile =>
        (Quantization.Format == NumberFormat.E2M1
            || (Quantization.Format == NumberFormat.E4M3 && Quantization.Constraint == ScaleConstraint.M2))
            && Activations == ActivationFormat.Fp8
        ? EmissionProfile.Custom
        : EmissionProfile.Simulated;

    /// <summary>The rows of a table, in order. A configuration that stands in two tables has one name and is measured once.</summary>
    public static IReadOnlyList<SweepConfiguration> Of(SweepTable table) => table switch
    {
        SweepTable.Formats =>
        [
            W8("INT-INT", NumberFormat.Int8, ActivationFormat.Int8),
            W8("INT-FP", NumberFormat.Int8, ActivationFormat.Fp8),
            W8("FP-FP", NumberFormat.E4M3, ActivationFormat.Fp8),
            W4("INT-INT", NumberFormat.Int4, ActivationFormat.Int8),
            W4("INT-FP", NumberFormat.Int4, ActivationFormat.Fp8),
            W4("FP-FP", NumberFormat.E2M1, ActivationFormat.Fp8),
            new("W4A8 FP-FP RTN", Plain with { Method = QuantizationMethod.Rtn }, ActivationFormat.Fp8),
            Corrected(W4("INT-INT", NumberFormat.Int4, ActivationFormat.Int8), 8),
            Corrected(W4("INT-FP", NumberFormat.Int4, ActivationFormat.Fp8), 8),
            Corrected(W4("FP-FP", NumberFormat.E2M1, ActivationFormat.Fp8), 8),
        ],
        SweepTable.Constraints => [.. Constrained(), .. Constrained().Select(configuration => Corrected(configuration, 8))],
        SweepTable.Ranks => [M2, Corrected(M2, 8), Corrected(M2, 16), Corrected(M2, 32)],
        SweepTable.Encodings =>
        [
            W4("FP-FP", NumberFormat.E2M1, ActivationFormat.Fp8),
            new("W4A8 FP-FP, weights E3M0", Plain with { Format = NumberFormat.E3M0 }, ActivationFormat.Fp8),
            new("W4A8 FP-FP, activations E5M2", Plain, ActivationFormat.Fp8E5M2),
            new("W4A16 FP, float activations", Plain, ActivationFormat.None),
        ],
        _ =>
        [
            Corrected(M2, 8),
            new("preset default", QuantizePreset.Default.Apply(new QuantizationOptions()), ActivationFormat.Fp8),
            new("preset best", QuantizePreset.Best.Apply(new QuantizationOptions()), ActivationFormat.Fp8),
        ],
    };

    private static SweepConfiguration M2 { get; } = new("W4A8 FP-FP M2 nearest", Plain with { Constraint = ScaleConstraint.M2 },
        ActivationFormat.Fp8);

    private static SweepConfiguration W8(string kinds, NumberFormat format, ActivationFormat activations) => new(
        $"W8A8 {kinds}", Plain with { Format = format }, activations);

    private static SweepConfiguration W4(string kinds, NumberFormat format, ActivationFormat activations) => new(
        $"W4A8 {kinds}", Plain with { Format = format }, activations);

    private static SweepConfiguration Corrected(SweepConfiguration configuration, int rank) => configuration with
    {
        Name = $"{configuration.Name} + LoRC {rank}",
        Quantization = configuration.Quantization with { Rank = rank },
    };

    private static IEnumerable<SweepConfiguration> Constrained()
    {
        yield return W4("FP-FP", NumberFormat.E2M1, ActivationFormat.Fp8);
        foreach (ScaleConstraint constraint in new[] { ScaleConstraint.M1, ScaleConstraint.M2 })
        {
            foreach ((string name, PowerRounding rounding) in Roundings)
            {
                yield return new SweepConfiguration(
                    $"W4A8 FP-FP {constraint} {name}", Plain with { Constraint = constraint, Rounding = rounding }, ActivationFormat.Fp8);
            }
        }
    }
}
