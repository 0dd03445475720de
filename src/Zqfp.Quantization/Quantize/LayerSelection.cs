using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>Which layers are quantized, and which of them differently from the rest.</summary>
/// <remarks>
/// A pattern is compared with the names of the layer, its weight and its module: <c>*</c> stands for any characters, <c>?</c> for one,
/// case counts. A pattern with such a wildcard never means the head (the layer that makes the logits) or a weight tied to the embedding; to
/// quantize one of these, include it by its full name.
/// </remarks>
internal sealed record LayerSelection
{
    /// <summary>Patterns of the layers to quantize; none: all.</summary>
    public IReadOnlyList<string> Include { get; init; } = [];

    /// <summary>Patterns of layers that stay float though included.</summary>
    public IReadOnlyList<string> Exclude { get; init; } = [];

    /// <summary>Layers with fewer weights stay float.</summary>
    public long MinSize { get; init; }

    /// <summary>What is different for some layers. Where several match one, all apply, in this order.</summary>
    public IReadOnlyList<LayerOverride> Overrides { get; init; } = [];
}

/// <summary>How the layers that a pattern matches are quantized differently. What is null stays as for all layers.</summary>
/// <param name="Pattern">The pattern, see <see cref="LayerSelection"/>.</param>
internal sealed record LayerOverride(string Pattern)
{
    /// <summary>Whether they stay float.</summary>
    public bool KeepFloat { get; init; }

    /// <summary>Format of the weights.</summary>
    public NumberFormat? Format { get; init; }

    /// <summary>Inputs that share a scale, as in <see cref="QuantizationOptions.GroupSize"/>.</summary>
    public int? GroupSize { get; init; }

    /// <summary>
    /// Rows that share their scales, as in <see cref="QuantizationOptions.GroupRows"/>; one where a format is given without.
    /// </summary>
    public int? GroupRows { get; init; }

    /// <summary>What the scales may be.</summary>
    public ScaleConstraint? Constraint { get; init; }

    /// <summary>Rank of the low-rank correction, 0 for none.</summary>
    public int? Rank { get; init; }

    /// <summary>The options for a layer that has <paramref name="options"/> otherwise.</summary>
    public QuantizationOptions Apply(QuantizationOptions options) => options with
    {
        Format = Format ?? options.Format,
        GroupSize = GroupSize ?? options.GroupSize,
        GroupRows = GroupRows ?? (Format is null ? options.GroupRows : 1),
        Constraint = Constraint ?? options.Constraint,
        Rank = Rank ?? options.Rank,
    };
}
