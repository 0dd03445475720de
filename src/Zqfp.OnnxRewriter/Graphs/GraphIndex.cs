using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>Who makes and who reads each value of a graph. A snapshot: it does not follow later changes.</summary>
internal sealed class GraphIndex
{
    private readonly Dictionary<string, NodeProto> _producers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<NodeProto>> _consumers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorProto> _initializers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ValueInfoProto> _values = new(StringComparer.Ordinal);
    private readonly ILookup<string, string> _regions;
    private readonly Dictionary<NodeProto, int> _positions = new(ReferenceEqualityComparer.Instance);
    private readonly Lazy<IReadOnlyDictionary<string, int>> _ranks;
    private readonly Lazy<string> _ids;

    /// <summary>Indexes <paramref name="graph"/> and checks that it is a graph: names unique, every input known, no cycle.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="file">The file to name in errors.</param>
    /// <exception cref="ZqfpException">ZQFP1004: a name is defined twice, is read but never defined, or the graph has a cycle.</exception>
    public GraphIndex(GraphProto graph, string file)
    {
        Graph = graph;
        _ranks = new Lazy<IReadOnlyDictionary<string, int>>(() => ValueRanks.Of(this));
        _ids = new Lazy<string>(() => TokenIds.Of(this));
        foreach (TensorProto tensor in graph.Initializer)
        {
            if (!_initializers.TryAdd(tensor.Name, tensor))
            {
                throw new ZqfpException("ZQFP1004", $"Two initializers are named '{tensor.Name}'.", file);
            }
        }

        _regions = graph.Initializer.Where(tensor => Region(tensor).Length > 0).ToLookup(
            Region, tensor => tensor.Name, StringComparer.Ordinal);
        foreach (ValueInfoProto value in graph.Input.Concat(graph.ValueInfo).Concat(graph.Output))
        {
            _values[value.Name] = value;
        }

        Inputs = [.. graph.Input.Where(input => !_initializers.ContainsKey(input.Name))];
        foreach (NodeProto node in graph.Node)
        {
            foreach (string output in node.Output.Where(output => output.Length > 0))
            {
                if (_initializers.ContainsKey(output) || !_producers.TryAdd(output, node))
                {
                    throw new ZqfpException("ZQFP1004", $"Value '{output}' is defined twice (again by {Describe(node)}).", file);
                }
            }

            foreach (string input in ReadBy(node))
            {
                if (!_consumers.TryGetValue(input, out List<NodeProto>? readers))
                {
                    _consumers.Add(input, readers = []);
                }

                readers.Add(node);
            }
        }

        Nodes = Sort(file);
        for (int i = 0; i < Nodes.Count; i++)
        {
            _positions.Add(Nodes[i], i);
        }
    }

    /// <summary>The graph indexed.</summary>
    public GraphProto Graph { get; }

    /// <summary>Nodes, each after those it reads from; the file's order where that holds already.</summary>
    public IReadOnlyList<NodeProto> Nodes { get; }

    /// <summary>Graph inputs that are not initializers.</summary>
    public IReadOnlyList<ValueInfoProto> Inputs { get; }

    /// <summary>The input that holds the token ids.</summary>
    public string Ids => _ids.Value;

    /// <summary>The node that makes <paramref name="value"/>, or null for inputs and initializers.</summary>
    public NodeProto? Producer(string value) => _producers.GetValueOrDefault(value);

    /// <summary>Nodes that read <paramref name="value"/>, also from inside their subgraphs; once for each such input.</summary>
    public IReadOnlyList<NodeProto> Consumers(string value) => _consumers.GetValueOrDefault(value) ?? [];

    /// <summary>The initializer of this name, or null.</summary>
    public TensorProto? Initializer(string value) => _initializers.GetValueOrDefault(value);

    /// <summary>
    /// What <paramref name="value"/> always is: an initializer, or the tensor of a Constant node; null where it is neither.
    /// </summary>
    public TensorProto? Constant(string value) => Initializer(value) ?? ConstantNode.Value(Producer(value));

    /// <summary><paramref name="value"/> and the other initializers that lie in the same place of the same data file.</summary>
    public IEnumerable<string> SameData(string value) =>
        Initializer(value) is { } tensor && Region(tensor) is { Length: > 0 } region ? _regions[region] : [value];

    /// <summary>Declared type and shape of <paramref name="value"/>, or null where the model does not say.</summary>
    public TypeProto? TypeOf(string value) => _values.GetValueOrDefault(value)?.Type;

    /// <summary>How many dimensions <paramref name="value"/> has, or null where the graph does not tell.</summary>
    public int? RankOf(string value) => _ranks.Value.TryGetValue(value, out int rank) ? rank : null;

    /// <summary>The node's place in <see cref="Nodes"/>.</summary>
    public int Position(NodeProto node) => _positions[node];

    /// <summary>Whether <paramref name="value"/> is an output of the graph.</summary>
    public bool IsOutput(string value) => Graph.Output.Any(output => output.Name == value);

    /// <summary>Every outer value a node reads: its inputs, and what the graphs in its attributes (If, Loop, Scan) capture.</summary>
    public static IEnumerable<string> ReadBy(NodeProto node)
    {
        IEnumerable<string> direct = node.Input.Where(input => input.Length > 0);
        return direct.Concat(Subgraphs.Of(node).SelectMany(CapturedBy));
    }

    /// <summary>Where an initializer lies in a data file; empty where it is in the structure.</summary>
    private static string Region(TensorProto tensor)
    {
        if (tensor.DataLocation != TensorProto.Types.DataLocation.External)
        {
            return string.Empty;
        }

        // No offset is 0, and what the entry of the length says has to be the bytes of the shape.
        string location = Entry("location");
        string offset = Entry("offset").TrimStart('0');
        Int128 bits = tensor.Dims.Aggregate(
            (Int128)TensorTypes.BitsPerElement((TensorProto.Types.DataType)tensor.DataType), (size, dim) => size * dim);
        return $"{(location.StartsWith("./", StringComparison.Ordinal) ? location[2..] : location)}|{offset}|{bits}";

        string Entry(string key) => tensor.ExternalData.FirstOrDefault(entry => entry.Key == key)?.Value ?? string.Empty;
    }

    private static IEnumerable<string> CapturedBy(GraphProto graph)
    {
        HashSet<string> local = new(StringComparer.Ordinal);
        local.UnionWith(graph.Input.Select(input => input.Name));
        local.UnionWith(graph.Initializer.Select(tensor => tensor.Name));
        local.UnionWith(graph.Node.SelectMany(node => node.Output));
        return graph.Node.SelectMany(ReadBy)
            .Concat(graph.Output.Select(output => output.Name))
            .Where(name => !local.Contains(name))
            .Distinct();
    }

    /// <summary>A node as an error should call it.</summary>
    public static string Describe(NodeProto node) =>
        node.Name.Length > 0
            ? $"node '{node.Name}' ({node.OpType})"
            : $"the {node.OpType} node that makes '{node.Output.FirstOrDefault()}'";

    /// <summary>Depth-first from each node in the file's order: linear in the size of the graph, whatever that order is.</summary>
    private List<NodeProto> Sort(string file)
    {
        HashSet<string> given = [.. _initializers.Keys, .. Inputs.Select(input => input.Name)];
        List<NodeProto> sorted = new(Graph.Node.Count);
        Dictionary<NodeProto, bool> finished = new(Graph.Node.Count, ReferenceEqualityComparer.Instance);
        Stack<(NodeProto Node, Queue<string> Unseen)> path = new();
        foreach (NodeProto root in Graph.Node.Where(node => !finished.ContainsKey(node)))
        {
            Enter(root);
            while (path.TryPeek(out (NodeProto Node, Queue<string> Unseen) top))
            {
                if (!top.Unseen.TryDequeue(out string? input))
                {
                    finished[top.Node] = true;
                    sorted.Add(top.Node);
                    path.Pop();
                }
                else if (!_producers.TryGetValue(input, out NodeProto? producer))
                {
                    throw new ZqfpException("ZQFP1004", $"{Describe(top.Node)} reads '{input}', but nothing defines it.", file);
                }
                else if (!finished.TryGetValue(producer, out bool isDone))
                {
                    Enter(producer);
                }
                else if (!isDone)
                {
                    throw new ZqfpException("ZQFP1004", $"{Describe(top.Node)} reads '{input}', but the graph has a cycle.", file);
                }
            }
        }

        return sorted;

        void Enter(NodeProto node)
        {
            finished.Add(node, false);
            path.Push((node, new Queue<string>(ReadBy(node).Where(input => !given.Contains(input)))));
        }
    }
}
