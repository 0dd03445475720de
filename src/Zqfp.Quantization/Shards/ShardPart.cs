using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>What one shard does.</summary>
/// <param name="Layers">The layers it quantizes, in the order they run; none where there are more shards than layers.</param>
/// <param name="FirstStage">The stage of the first of them; -1 without layers.</param>
/// <param name="LastStage">The stage of the last of them; -1 without layers.</param>
internal sealed record ShardPart(IReadOnlyList<LinearLayer> Layers, int FirstStage, int LastStage)
{
    private readonly HashSet<string> _names = [.. Layers.Select(layer => layer.Name)];

    /// <summary>Whether it quantizes a layer.</summary>
    public bool Has(LinearLayer layer) => _names.Contains(layer.Name);
}
