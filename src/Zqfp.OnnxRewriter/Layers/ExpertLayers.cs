using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Finds the layers of an <c>ExpertMatMul</c>: each of its experts is one, and all of them have its nodes, input and output.
/// </summary>
/// <remarks><see cref="ExpertForms"/> says a mixture of experts in this form.</remarks>
internal static class ExpertLayers
{
    /// <summary>The experts of <paramref name="node"/>, or null where it is no such product.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="node">The node.</param>
    /// <param name="live">The nodes that the logits depend on: what picked matrices for a product is none of them any more.</param>
    public static IReadOnlyList<LinearLayer>? Match(GraphIndex graph, NodeProto node, HashSet<NodeProto> live)
    {
        if (node.Domain != OperatorNames.Domain || node.OpType != OperatorNames.ExpertMatMul
            || ConstantWeight.TraceStack(graph, node.Input[2]) is not { Dims: [var count, var first, var second] } weight
            || count is 0 or > int.MaxValue || first is 0 or > int.MaxValue || second is 0 or > int.MaxValue)
        {
            return null;
        }

        bool isInputMajor = (Attributes.Int(node, OperatorNames.InputMajor, 0) != 0) != weight.Transposed;
        bool isTied = graph.SameData(weight.Name).Any(name => graph.Consumers(name).Any(
            reader => reader.OpType == "Gather" && reader.Domain.Length == 0 && live.Contains(reader)));
        return
        [
            .. Enumerable.Range(0, (int)count).Select(number => new LinearLayer
            {
                Name = FormattableString.Invariant($"{node.Name}/experts.{number}"),
                Module = LinearLayerFinder.Module(node),
                Nodes = [node],
                Input = node.Input[0],
                Output = node.Output[0],
                Source = weight,
                StoredInputMajor = isInputMajor,
                InFeatures = (int)(isInputMajor ? first : second),
                OutFeatures = (int)(isInputMajor ? second : first),
                Bias = node.Input.ElementAtOrDefault(3) is { Length: > 0 } bias ? bias : null,
                Type = weight.Type,
                Expert = new ExpertPlace(node.Name, number, (int)count, node.Input[1]),
                IsTied = isTied,
            })
        ];
    }

    /// <summary>
    /// Exporters give all products of a mixture the module of the mixture. They are told apart as <c>com.microsoft.MoE</c> does, by the
    /// order they run: <c>mlp.experts.3.fc1</c>.
    /// </summary>
    public static IReadOnlyList<LinearLayer> NameModules(IReadOnlyList<LinearLayer> layers)
    {
        Dictionary<string, List<string>> groups = new(StringComparer.Ordinal);
        foreach (LinearLayer layer in layers.Where(layer => layer.Expert is not null && layer.Module is not null))
        {
            if (!groups.TryGetValue(layer.Module!, out List<string>? products))
            {
                groups.Add(layer.Module!, products = []);
            }

            if (!products.Contains(layer.Expert!.Group))
            {
                products.Add(layer.Expert.Group);
            }
        }

        return
        [
            .. layers.Select(layer => layer.Expert is { } place && layer.Module is { } module
                ? layer with
                {
                    Module = FormattableString.Invariant($"{module}.{place.Number}.fc{groups[module].IndexOf(place.Group) + 1}"),
                }
                : layer)
        ];
    }
}
