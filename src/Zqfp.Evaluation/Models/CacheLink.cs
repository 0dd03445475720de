using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Evaluation;

/// <summary>A cache that a model reads, and the output that is this cache with the keys or values of the run's tokens behind it.</summary>
/// <param name="Input">The input.</param>
/// <param name="Output">The output.</param>
internal sealed record CacheLink(string Input, string Output)
{
    /// <summary>The places of attention operators' inputs of earlier keys and values, and of the outputs that they go on in.</summary>
    private static readonly Dictionary<string, (int Key, int Value)> PastInputs = new(StringComparer.Ordinal)
    {
        ["GroupQueryAttention"] = (3, 4),
        ["MultiHeadAttention"] = (6, 7),
        ["Attention"] = (4, 5),
    };

    /// <summary>
    /// The links of all caches of a model, found by what computes them; empty where the model has none, or one for which it is not known
    /// how it goes on.
    /// </summary>
    public static IReadOnlyList<CacheLink> Find(GraphIndex graph)
    {
        List<CacheLink> links = [];
        foreach (ValueInfoProto input in graph.Inputs.Where(input => DecoderInput.IsCache(input.Name)))
        {
            bool isKnown = input.Type?.TensorType?.Shape?.Dim.Count is 3 or 4;
            if (!isKnown || graph.Consumers(input.Name).Select(node => Grown(graph, node, input.Name)).OfType<string>().FirstOrDefault()
                is not { } output)
            {
                return [];
            }

            links.Add(new CacheLink(input.Name, output));
        }

        return links;
    }

    private static string? Grown(GraphIndex graph, NodeProto node, string cache)
    {
        string? made = null;
        if (node is { OpType: "Concat", Domain.Length: 0 } && node.Input[0] == cache)
        {
            made = node.Output[0];
        }
        else if (PastInputs.TryGetValue(node.OpType, out (int Key, int Value) places)
            && (node.OpType == "Attention") == (node.Domain.Length == 0))
        {
            int place = node.Input.IndexOf(cache);
            made = node.Output.ElementAtOrDefault(place == places.Key ? 1 : place == places.Value ? 2 : -1);
        }

        return made is null || graph.IsOutput(made)
            ? made
            : graph.Consumers(made).FirstOrDefault(reader => reader.OpType == "Identity" && graph.IsOutput(reader.Output[0]))?.Output[0];
    }
}
