namespace Zqfp.OnnxRewriter;

/// <summary>Divides layers into stages: those that read one value, routed ones apart from the rest.</summary>
/// <remarks>
/// A router and the experts of a dense mixture read one value. What the router's layer decides about the experts is known when it is
/// quantized, so they are a later stage.
/// </remarks>
internal static class StageOrder
{
    /// <summary>The stages, in the order they run.</summary>
    public static IEnumerable<IReadOnlyList<LinearLayer>> Group(GraphIndex graph, IEnumerable<LinearLayer> layers) => layers
        .OrderBy(layer => Position(graph, layer))
        .GroupBy(layer => (layer.Input, IsRouted: layer.RoutedBy is not null))
        .Select(stage => stage.ToArray());

    /// <summary>The layer's place, or that of the weight it is routed by, whichever is later.</summary>
    private static int Position(GraphIndex graph, LinearLayer layer)
    {
        int own = graph.Position(layer.Nodes[0]);
        return layer.RoutedBy is { } weight && graph.Producer(weight) is { } router ? Math.Max(own, graph.Position(router)) : own;
    }
}
