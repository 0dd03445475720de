using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Writes a Loop that always runs as often, and has products in its body, as that many copies of the body, such as one for each expert: so
/// the layers inside are layers of the graph.
/// </summary>
/// <remarks>A Loop that collects values of its iterations, or that may end before its count, stays.</remarks>
internal static class LoopUnroller
{
    private const int MaxIterations = 1024;

    /// <summary>Nodes at most that the copies of one body have.</summary>
    private const int MaxNodes = 1 << 16;

    private const int NumberInput = 0, ConditionInput = 1, FirstCarried = 2;

    /// <summary>Changes the loops of <paramref name="graph"/> that can be written so.</summary>
    public static void Unroll(GraphProto graph)
    {
        if (!graph.Node.Any(node => BodyOf(node) is not null))
        {
            return;
        }

        Dictionary<string, TensorProto> constants = graph.Initializer.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        foreach (NodeProto node in graph.Node)
        {
            if (ConstantNode.Value(node) is { } value)
            {
                constants[node.Output[0]] = value;
            }
        }

        var names = new FreshNames(graph);
        List<NodeProto> nodes = [];
        foreach (NodeProto node in graph.Node)
        {
            if (BodyOf(node) is { } body && Iterations(node, body, constants) is { } count)
            {
                Unroll(graph, node, body.Clone(), count, names, nodes);
            }
            else
            {
                nodes.Add(node);
            }
        }

        graph.Node.Clear();
        graph.Node.AddRange(nodes);
    }

    /// <summary>The body of a Loop that carries all that it makes and multiplies in it; null for any other node.</summary>
    private static GraphProto? BodyOf(NodeProto node) =>
        node is { OpType: "Loop", Domain.Length: 0, Input.Count: > FirstCarried } && Subgraphs.Of(node).SingleOrDefault() is { } body
            && body.Input.Count == node.Input.Count && body.Output.Count == node.Input.Count - 1
            && node.Output.Count <= node.Input.Count - FirstCarried && body.Node.Any(ProductNode.Is)
                ? body
                : null;

    private static int? Iterations(NodeProto node, GraphProto body, Dictionary<string, TensorProto> constants)
    {
        bool goesOn = node.Input[ConditionInput].Length == 0 || IsTrue(constants.GetValueOrDefault(node.Input[ConditionInput]));
        return goesOn && NeverEnds(body, constants)
            && constants.TryGetValue(node.Input[NumberInput], out TensorProto? count)
            && IntTensor.Read(count) is [> 0 and <= MaxIterations and var iterations]
            && iterations * body.Node.Count <= MaxNodes
                ? (int)iterations
                : null;
    }

    /// <summary>Whether the condition that the body gives is the one it was given, or true.</summary>
    private static bool NeverEnds(GraphProto body, Dictionary<string, TensorProto> constants)
    {
        string condition = body.Output[0].Name;
        while (body.Node.FirstOrDefault(node => node.Output.Contains(condition)) is { } maker)
        {
            if (ConstantNode.Value(maker) is { } value)
            {
                return IsTrue(value);
            }

            if (maker.OpType is not ("Identity" or "Cast"))
            {
                return false;
            }

            condition = maker.Input[0];
        }

        return condition == body.Input[ConditionInput].Name
            || IsTrue(body.Initializer.FirstOrDefault(tensor => tensor.Name == condition) ?? constants.GetValueOrDefault(condition));
    }

    private static bool IsTrue(TensorProto? tensor) => tensor is { DataType: (int)DataType.Bool }
        && (tensor.HasRawData ? tensor.RawData is [not 0] : tensor.Int32Data is [not 0]);

    private static void Unroll(GraphProto graph, NodeProto loop, GraphProto body, int count, FreshNames names, List<NodeProto> nodes)
    {
        string prefix = loop.Name.Length > 0 ? loop.Name : loop.Output[0];
        PlainModel.LiftConstants(body);
        Dictionary<string, string> shared = new(StringComparer.Ordinal) { [string.Empty] = string.Empty };
        foreach (TensorProto tensor in body.Initializer)
        {
            TensorProto lifted = tensor.Clone();
            shared[tensor.Name] = lifted.Name = names.Make($"{prefix}/{tensor.Name}");
            graph.Initializer.Add(lifted);
        }

        shared[body.Input[ConditionInput].Name] = Add(new TensorProto { DataType = (int)DataType.Bool, Int32Data = { 1 } }, "goes_on");
        string[] carried = [.. loop.Input.Skip(FirstCarried)];
        for (int i = 0; i < count; i++)
        {
            string at = FormattableString.Invariant($"{prefix}/{i}");
            Dictionary<string, string> renamed = new(shared, StringComparer.Ordinal)
            {
                [body.Input[NumberInput].Name] = Add(new TensorProto { DataType = (int)DataType.Int64, Int64Data = { i } }, $"{i}/number"),
            };
            for (int value = 0; value < carried.Length; value++)
            {
                renamed[body.Input[FirstCarried + value].Name] = carried[value];
            }

            foreach (NodeProto inner in body.Node)
            {
                NodeProto copy = inner.Clone();
                FunctionInliner.Rename(copy, renamed, value => names.Make($"{at}/{value}"));
                copy.Name = inner.Name.Length > 0 ? names.Make($"{at}/{inner.Name}") : string.Empty;
                nodes.Add(copy);
            }

            foreach (ValueInfoProto known in body.ValueInfo.Where(known => renamed.ContainsKey(known.Name)))
            {
                ValueInfoProto copy = known.Clone();
                copy.Name = renamed[known.Name];
                graph.ValueInfo.Add(copy);
            }

            carried = [.. body.Output.Skip(1).Select(output => renamed.GetValueOrDefault(output.Name, output.Name))];
        }

        for (int i = 0; i < loop.Output.Count; i++)
        {
            if (loop.Output[i].Length > 0)
            {
                nodes.Add(new NodeProto
                {
                    OpType = "Identity",
                    Name = names.Make($"{prefix}/{loop.Output[i]}"),
                    Input = { carried[i] },
                    Output = { loop.Output[i] },
                });
            }
        }

        string Add(TensorProto tensor, string part)
        {
            tensor.Name = names.Make($"{prefix}/{part}");
            graph.Initializer.Add(tensor);
            return tensor.Name;
        }
    }
}
