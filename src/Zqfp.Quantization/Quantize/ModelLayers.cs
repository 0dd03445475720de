using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>What a model's structure says before any weight is read, and what options make of it.</summary>
/// <param name="Graph">The graph, with products whose weight stands on the left turned around.</param>
/// <param name="Facts">The model.</param>
/// <param name="Found">The linear layers.</param>
/// <param name="Choices">For each, how it is to be quantized or why it stays float.</param>
internal sealed record ModelLayers(GraphIndex Graph, ModelFacts Facts, IReadOnlyList<LinearLayer> Found, IReadOnlyList<LayerChoice> Choices)
{
    /// <summary>The layers to quantize.</summary>
    public IReadOnlyList<LayerChoice> Chosen { get; } = [.. Choices.Where(choice => choice.FloatBecause is null)];

    /// <summary>Finds the layers of an opened model.</summary>
    public static ModelLayers Of(OnnxFile file, QuantizeOptions options)
    {
        GraphIndex graph = LeftWeights.Turn(new GraphIndex(file.Graph, file.Path), file.Path);
        ModelFacts facts = ModelFacts.Of(file, graph);
        IReadOnlyList<LinearLayer> found = LinearLayerFinder.Find(graph, facts.Logits);
        return new ModelLayers(graph, facts, found, LayerChooser.Choose(found, options));
    }
}
