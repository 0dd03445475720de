
namespace Zqfp.OnnxRewriter;

/// <summary>Finds layers that have the same weight: it is quantized once, for the layer that runs first, and stored once.</summary>
internal static class SharedWeights
{
    /// <summary>Sets <see cref="LinearLayer.SharesWeightOf"/>.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="layers">The layers to quantize, in the order they are.</param>
    /// <param name="isAlike">Whether two layers are to be quantized in the same way; others do not share.</param>
    public static IReadOnlyList<LinearLayer> Mark(
        GraphIndex graph, IReadOnlyList<LinearLayer> layers, Func<LinearLayer, LinearLayer, bool> isAlike)
    {
        List<LinearLayer> marked = [];
        Dictionary<(string Weight, bool StoredInputMajor), List<LinearLayer>> owners = [];
        foreach (LinearLayer layer in layers)
        {
            string identity = $"{layer.Source.Identity(graph.SameData(layer.Weight).First())}|{layer.Expert?.Number}";
            if (!owners.TryGetValue((identity, layer.StoredInputMajor), out List<LinearLayer>? same))
            {
                owners.Add((identity, layer.StoredInputMajor), same = []);
            }

            LinearLayer? owner = same.Find(other => isAlike(other, layer));
            marked.Add(layer with { SharesWeightOf = owner?.Name });
            if (owner is null)
            {
                same.Add(layer);
            }
        }

        return marked;
    }
}
