using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Tells that values are the same which are made of one value by the same steps: each product of experts that is spelled plainly has an
/// Unsqueeze, Squeeze or Expand of its own of the rows that several read.
/// </summary>
/// <param name="graph">The graph.</param>
internal sealed class SameValues(GraphIndex graph)
{
    /// <summary>Steps looked at behind one value.</summary>
    private const int Limit = 32;

    /// <summary>Stands in keys and in no name.</summary>
    private const char Mark = '\0';

    private static readonly HashSet<string> Steps =
        ["Cast", "Concat", "Expand", "Identity", "Reshape", "Shape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze"];

    private readonly Dictionary<string, string> _keys = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _numbers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _first = new(StringComparer.Ordinal);

    /// <summary>The graph in which products of experts that read the same rows, or the same experts of rows, read one value.</summary>
    public static GraphIndex Join(GraphIndex graph, string file)
    {
        SameValues values = new(graph);
        Dictionary<NodeProto, NodeProto> joined = new(ReferenceEqualityComparer.Instance);
        foreach (NodeProto node in graph.Nodes.Where(
            node => node.Domain == OperatorNames.Domain && node.OpType == OperatorNames.ExpertMatMul))
        {
            string[] read = [values.First(node.Input[0]), values.First(node.Input[1])];
            if (!node.Input.Take(2).SequenceEqual(read))
            {
                NodeProto changed = node.Clone();
                (changed.Input[0], changed.Input[1]) = (read[0], read[1]);
                joined.Add(node, changed);
            }
        }

        if (joined.Count == 0)
        {
            return graph;
        }

        // Steps that nothing reads any more are left out. What is read now is made before what was.
        HashSet<string> needed = new(StringComparer.Ordinal);
        List<NodeProto> kept = [];
        foreach (NodeProto node in graph.Nodes.Reverse())
        {
            bool wasRead = node.Output.Any(output => graph.Consumers(output).Count > 0);
            if (!wasRead || node.Output.Any(output => needed.Contains(output) || graph.IsOutput(output)))
            {
                NodeProto now = joined.GetValueOrDefault(node, node);
                needed.UnionWith(GraphIndex.ReadBy(now));
                kept.Add(now);
            }
        }

        kept.Reverse();
        GraphProto shell = GraphShell.Of(graph.Graph);
        shell.Initializer.AddRange(graph.Graph.Initializer);
        shell.Node.AddRange(kept);
        return new GraphIndex(shell, file);
    }

    /// <summary>The first value asked for that is the same as <paramref name="value"/>: often itself.</summary>
    public string First(string value)
    {
        string key = Key(value, 0);
        return _first.TryAdd(key, value) ? value : _first[key];
    }

    /// <summary>Equal only for values that are the same.</summary>
    private string Key(string value, int depth)
    {
        if (!_keys.TryGetValue(value, out string? key))
        {
            _keys.Add(value, key = Made(value, depth));
        }

        return key;
    }

    private string Made(string value, int depth)
    {
        if (graph.Constant(value) is { } constant)
        {
            return IntTensor.Read(constant) is { } numbers
                ? $"{Mark}{constant.DataType}[{string.Join(',', constant.Dims)}]{string.Join(',', numbers)}"
                : value;
        }

        if (depth == Limit || graph.Producer(value) is not { Domain.Length: 0, Output.Count: 1 } node || !Steps.Contains(node.OpType))
        {
            return value;
        }

        string how = string.Join(Mark,
        [
            node.OpType,
            .. node.Attribute.Select(attribute => attribute.ToByteString().ToBase64()).Order(StringComparer.Ordinal),
            .. node.Input.Select(input => Key(input, depth + 1)),
        ]);
        if (!_numbers.TryGetValue(how, out string? number))
        {
            _numbers.Add(how, number = FormattableString.Invariant($"{Mark}{_numbers.Count}"));
        }

        return number;
    }
}
