using System.Text.RegularExpressions;
using Zqfp.Quantization;

namespace Zqfp.Reporting;

/// <summary>A layer's place in a model of equal blocks.</summary>
/// <param name="Block">The block's number.</param>
/// <param name="Part">The layer within its block, such as <c>mlp.up_proj</c>.</param>
internal sealed record LayerPlace(int Block, string Part);

/// <summary>Names of layers as people know them.</summary>
internal static partial class LayerNames
{
    /// <summary>The module where it is known, else the node's name.</summary>
    public static string Of(LayerReport layer) => layer.Module ?? layer.Name;

    /// <summary>The names of layers that stand together, each shortened to what it does not share with the first.</summary>
    public static string Of(IReadOnlyList<LayerReport> layers)
    {
        string first = Of(layers[0]);
        int shared = first.LastIndexOf('.') + 1;
        return string.Join(", ",
            layers.Select(
                (layer, i) => i > 0 && Of(layer).StartsWith(first[..shared], StringComparison.Ordinal) ? Of(layer)[shared..] : Of(layer)));
    }

    /// <summary>The block a layer is in, and its name there; null where the name has no number between dots or slashes.</summary>
    public static LayerPlace? Place(LayerReport layer) =>
        Block().Match(Of(layer)) is { Success: true } match && int.TryParse(match.Groups["block"].ValueSpan, out int block)
            ? new LayerPlace(block, match.Groups["part"].Value)
            : null;

    [GeneratedRegex("[./](?<block>[0-9]{1,4})[./](?<part>.+)$", RegexOptions.Singleline)]
    private static partial Regex Block();
}
