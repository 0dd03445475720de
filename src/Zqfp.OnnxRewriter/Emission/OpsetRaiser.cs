using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Raises a graph's default operator set. Between 17 and 23 most operators only gained element types; the rules here are the
/// changes of meaning: from 18, Reduce* takes its axes as an input and Split wants the number of outputs.
/// </summary>
internal static class OpsetRaiser
{
    private const long Oldest = 13;

    private static readonly HashSet<string> AxesBecameInput =
    [
        "ReduceMax", "ReduceMin", "ReduceMean", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"
    ];

    /// <summary>Why <paramref name="graph"/> cannot be raised from one operator set to another, or null.</summary>
    public static string? Refusal(GraphProto graph, long from, long target)
    {
        if (from >= target)
        {
            return null;
        }

        if (from < Oldest)
        {
            return $"The model uses operator set {from}; this profile needs {target}, and only sets from {Oldest} can be raised. Export it "
                + "with a newer operator set, or use the profile 'custom'.";
        }

        NodeProto? node = Graphs(graph).SelectMany(part => part.Node)
            .FirstOrDefault(node => node is { OpType: "GroupNormalization" or "DFT", Domain.Length: 0 });
        return node is null
            ? null
            : $"The profile needs operator set {target}, and {GraphIndex.Describe(node)} cannot be raised to it from {from}. Export the "
                + $"model with operator set {target}, or use the profile 'custom'.";
    }

    /// <summary>
    /// Rewrites <paramref name="model"/> for operator set <paramref name="target"/>; does nothing where it has that or a newer one.
    /// </summary>
    /// <param name="model">A model for which there is no <see cref="Refusal"/>.</param>
    /// <param name="target">The operator set wanted.</param>
    public static void Raise(ModelProto model, long target)
    {
        OperatorSetIdProto opset = model.OpsetImport.First(import => import.Domain.Length == 0);
        if (opset.Version >= target)
        {
            return;
        }

        if (opset.Version < 18)
        {
            foreach (GraphProto graph in Graphs(model.Graph).ToList())
            {
                foreach (NodeProto node in graph.Node.Where(node => node.Domain.Length == 0))
                {
                    RaiseTo18(graph, node);
                }
            }
        }

        opset.Version = target;
    }

    /// <summary>The graph and the bodies in it.</summary>
    private static IEnumerable<GraphProto> Graphs(GraphProto graph) =>
        graph.Node.SelectMany(Subgraphs.Of).SelectMany(Graphs).Prepend(graph);

    private static void RaiseTo18(GraphProto graph, NodeProto node)
    {
        if (node.OpType == "Split" && node.Input.Count < 2)
        {
            node.Attribute.Add(Attributes.Make("num_outputs", node.Output.Count));
        }

        AttributeProto? axes = node.Attribute.FirstOrDefault(attribute => attribute.Name == "axes");
        if (axes is not null && AxesBecameInput.Contains(node.OpType))
        {
            string name = $"{node.Output[0]}.zqfp.axes";
            long[] values = [.. axes.Ints];
            graph.Initializer.Add(new TensorProto
            {
                Name = name,
                DataType = (int)DataType.Int64,
                Dims = { values.Length },
                RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<long>(values)),
            });
            node.Attribute.Remove(axes);
            node.Input.Add(name);
        }
    }
}
