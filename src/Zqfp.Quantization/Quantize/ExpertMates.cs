using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// Finds the layers of one expert that read the same rows, such as gate and up projection. Exporters write them as one weight or apart;
/// apart they are quantized as one matrix too, so that both exports of a model have the same codes, the same low-rank factors and the same
/// size.
/// </summary>
internal static class ExpertMates
{
    /// <summary>Sets <see cref="LinearLayer.JoinedTo"/>.</summary>
    /// <param name="layers">The layers to quantize, in the order they are.</param>
    /// <param name="optionsOf">How each of them is quantized; others do not join.</param>
    public static IReadOnlyList<LinearLayer> Mark(IReadOnlyList<LinearLayer> layers, Func<LinearLayer, QuantizationOptions> optionsOf)
    {
        Dictionary<object, (string Name, long Weights)> first = [];
        Dictionary<string, LinearLayer> marked = new(StringComparer.Ordinal);
        LinearLayer[] all =
        [
            .. layers.Select(layer =>
            {
                QuantizationOptions options = optionsOf(layer);
                string? joined = null;
                if (layer.SharesWeightOf is { } owner)
                {
                    joined = marked.GetValueOrDefault(owner)?.JoinedTo;
                }
                else if (layer.IsExpert && HasScalesOfRows(options))
                {
                    object expert = (layer.Input, layer.RoutedBy, layer.Expert?.Index, layer.Expert?.Number, layer.Type, options);
                    long weights = (long)layer.OutFeatures * layer.InFeatures;
                    if (!first.TryGetValue(expert, out (string Name, long Weights) mates))
                    {
                        first.Add(expert, (layer.Name, weights));
                    }
                    else if (mates.Weights + weights <= Array.MaxLength)
                    {
                        first[expert] = mates with { Weights = mates.Weights + weights };
                        joined = mates.Name;
                    }
                }

                LinearLayer result = layer with { JoinedTo = joined };
                marked.Add(layer.Name, result);
                return result;
            })
        ];

        // The experts of one constant have one constant of factors, so they join all or none, and the same product's.
        HashSet<string> apart = [.. all.Where(layer => layer.Expert is not null).GroupBy(layer => layer.Expert!.Group)
            .Where(stack => stack.Select(layer => ExpertTensors.GroupOf(layer.JoinedTo)).Distinct().Count() > 1)
            .Select(stack => stack.Key)];
        return [.. all.Select(layer => layer.Expert is { } place && apart.Contains(place.Group) ? layer with { JoinedTo = null } : layer)];
    }

    /// <summary>The same for the layers that are chosen.</summary>
    public static IReadOnlyList<LayerChoice> Mark(IReadOnlyList<LayerChoice> choices)
    {
        Dictionary<string, LayerChoice> chosen = choices.Where(choice => choice.FloatBecause is null)
            .ToDictionary(choice => choice.Layer.Name, StringComparer.Ordinal);
        Dictionary<string, LinearLayer> joined = Mark(
            [.. chosen.Values.Select(choice => choice.Layer)], layer => chosen[layer.Name].Options)
            .Where(layer => layer.JoinedTo is not null).ToDictionary(layer => layer.Name, StringComparer.Ordinal);
        return
        [
            .. choices.Select(
                choice => joined.TryGetValue(choice.Layer.Name, out LinearLayer? layer) ? choice with { Layer = layer } : choice)
        ];
    }

    /// <summary>Scales that rows share would not be those that each layer has alone.</summary>
    private static bool HasScalesOfRows(QuantizationOptions options) => options.GroupSize >= 0 && options.GroupRows == 1;
}
