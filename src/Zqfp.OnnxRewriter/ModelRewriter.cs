using Google.Protobuf;
using Zqfp.OnnxRewriter.Emission;
using Zqfp.OnnxRewriter.Graphs;
using Zqfp.OnnxRewriter.Protos;
using Zqfp.OnnxRewriter.Slicing;
using Zqfp.OnnxRewriter.Tensors;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// A model whose layers are replaced one stage after another. At any moment a slice of it can be run (with the layers
/// replaced so far) or the whole of it saved. The opened file is never changed.
/// </summary>
/// <param name="file">The original, which must stay open.</param>
/// <param name="graph">Its index.</param>
public sealed class ModelRewriter(OnnxFile file, GraphIndex graph)
{
    private readonly Dictionary<NodeProto, NodeProto[]> _replacements = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<string, TensorData> _added = new(StringComparer.Ordinal);

    /// <summary>Replaces layers that read the same value.</summary>
    /// <param name="layers">The replacements, at least one, in the order the layers run.</param>
    /// <exception cref="ModelException">ZQFP1006: no operator computes this combination of formats.</exception>
    public void Replace(IReadOnlyList<QuantizedLayerTensors> layers)
    {
        foreach (QuantizedLayerTensors layer in layers)
        {
            bool hasExponents = layer.Exponents is not null;
            if (CustomEmitter.OperatorFor(layer.CodesType, hasExponents, layer.Activations) is null)
            {
                string scales = hasExponents ? "power-of-two group ratios" : "free group scales";
                throw new ModelException("ZQFP1006", file.Path, $"No operator multiplies {layer.CodesType} weights with {scales} and {layer.Activations} activations. Choose another constraint or activation format.");
            }

            bool isFirst = ReferenceEquals(layer, layers[0]);
            NodeProto product = CustomEmitter.Product(layer);
            _replacements[layer.Layer.Nodes[0]] = isFirst && layer.Activations == ActivationRounding.Fp8
                ? [CustomEmitter.QuantizeTokens(layer.Layer.Input), product]
                : [product];
            foreach (NodeProto node in layer.Layer.Nodes.Skip(1))
            {
                _replacements[node] = [];
            }

            foreach ((string name, TensorData data) in CustomEmitter.Initializers(layer))
            {
                _added[name] = data;
            }
        }
    }

    /// <summary>The slice of <paramref name="stage"/> as a model of its own, with the layers replaced so far.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="kept">Element type and rank of the values the slice reads from earlier ones.</param>
    /// <returns>The model, whose large initializers are given beside it.</returns>
    public SliceModel Slice(CalibrationStage stage, IReadOnlyDictionary<string, (DataType Type, int Rank)> kept)
    {
        string[] outputs = [.. stage.Keeps.Append(stage.Input).Distinct()];
        List<NodeProto> nodes = Live(Current(stage.Nodes), outputs);
        HashSet<string> read = [.. nodes.SelectMany(GraphIndex.ReadBy)];
        GraphProto slice = new() { Name = stage.Input };
        slice.Node.AddRange(nodes);
        slice.Input.AddRange(graph.Inputs.Where(input => read.Contains(input.Name)));
        slice.Input.AddRange(stage.Reads.Select(value => Declare(value, kept[value])));
        slice.Output.AddRange(outputs.Select(value => new ValueInfoProto { Name = value, Type = graph.TypeOf(value) }));
        Dictionary<string, TensorData> weights = new(StringComparer.Ordinal);
        foreach ((TensorProto header, TensorData data) in Initializers(read))
        {
            bool isLarge = data.ByteLength >= InlineLimit;
            slice.Initializer.Add(isLarge ? External(header, "weights", 0, data.ByteLength) : Inline(header, data));
            if (isLarge)
            {
                weights.Add(header.Name, data);
            }
        }

        return new SliceModel(Envelope(slice), weights);
    }

    /// <summary>Writes the model as it now is to <paramref name="path"/> and its weights to <c>path + ".data"</c>.</summary>
    /// <remarks>Both are written under temporary names and moved into place last. The same model gives the same bytes.</remarks>
    /// <param name="path">Where to.</param>
    /// <param name="metadata">Properties to add to the model's own, in this order.</param>
    /// <param name="cancellation">Stops the writing; nothing is left behind.</param>
    /// <exception cref="ModelException">ZQFP0002: the files cannot be written.</exception>
    public void Save(string path, IEnumerable<KeyValuePair<string, string>> metadata, CancellationToken cancellation)
    {
        List<NodeProto> nodes = Live(Current(graph.Nodes), graph.Graph.Output.Select(output => output.Name));
        HashSet<string> read = [.. nodes.SelectMany(GraphIndex.ReadBy)];
        GraphProto rewritten = graph.Graph.Clone();
        rewritten.Node.Clear();
        rewritten.Node.AddRange(nodes);
        rewritten.Initializer.Clear();
        HashSet<string> made = [.. nodes.SelectMany(node => node.Output)];
        ValueInfoProto[] values = [.. rewritten.ValueInfo.Where(value => made.Contains(value.Name))];
        rewritten.ValueInfo.Clear();
        rewritten.ValueInfo.AddRange(values);
        ModelProto model = Envelope(rewritten);
        model.MetadataProps.AddRange(metadata.Select(entry => new StringStringEntryProto { Key = entry.Key, Value = entry.Value }));
        ModelWriter.Write(path, model, Initializers(read), cancellation);
    }

    /// <summary>Initializers smaller than this stay in the structure.</summary>
    internal const int InlineLimit = 1024;

    internal static TensorProto Inline(TensorProto header, TensorData data)
    {
        TensorProto tensor = Header(header.Name, data);
        tensor.RawData = ByteString.CopyFrom(data.Slice(0, (int)data.ByteLength).Span);
        return tensor;
    }

    internal static TensorProto External(TensorProto header, string location, long offset, long length)
    {
        TensorProto tensor = header.Clone();
        tensor.DataLocation = DataLocation.External;
        tensor.ExternalData.Add(
        [
            new StringStringEntryProto { Key = "location", Value = location },
            new StringStringEntryProto { Key = "offset", Value = offset.ToString(System.Globalization.CultureInfo.InvariantCulture) },
            new StringStringEntryProto { Key = "length", Value = length.ToString(System.Globalization.CultureInfo.InvariantCulture) },
        ]);
        return tensor;
    }

    /// <summary>The nodes that stand for <paramref name="original"/> now.</summary>
    private IEnumerable<NodeProto> Current(IEnumerable<NodeProto> original) =>
        original.SelectMany(node => _replacements.GetValueOrDefault(node) ?? [node]);

    /// <summary>Those of <paramref name="nodes"/> (in running order) that <paramref name="outputs"/> depend on.</summary>
    private static List<NodeProto> Live(IEnumerable<NodeProto> nodes, IEnumerable<string> outputs)
    {
        HashSet<string> needed = [.. outputs];
        List<NodeProto> live = [];
        foreach (NodeProto node in nodes.Reverse())
        {
            if (node.Output.Any(needed.Contains))
            {
                live.Add(node);
                needed.UnionWith(GraphIndex.ReadBy(node));
            }
        }

        live.Reverse();
        return live;
    }

    /// <summary>The initializers among <paramref name="names"/>: the original's in its order, then those added, in ordinal order.</summary>
    private IEnumerable<(TensorProto Header, TensorData Data)> Initializers(HashSet<string> names)
    {
        foreach (TensorProto tensor in graph.Graph.Initializer.Where(tensor => names.Contains(tensor.Name)))
        {
            TensorData data = file.Read(tensor);
            yield return (Header(tensor.Name, data), data);
        }

        foreach ((string name, TensorData data) in _added.Where(entry => names.Contains(entry.Key)).OrderBy(entry => entry.Key, StringComparer.Ordinal))
        {
            yield return (Header(name, data), data);
        }
    }

    private static TensorProto Header(string name, TensorData data) =>
        new() { Name = name, DataType = (int)data.Type, Dims = { data.Dims } };

    private static ValueInfoProto Declare(string value, (DataType Type, int Rank) known)
    {
        TensorShapeProto shape = new();
        shape.Dim.AddRange(Enumerable.Range(0, known.Rank).Select(_ => new TensorShapeProto.Types.Dimension()));
        return new ValueInfoProto
        {
            Name = value,
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)known.Type, Shape = shape } },
        };
    }

    /// <summary>The original model around another graph, with the operators' domain imported.</summary>
    private ModelProto Envelope(GraphProto replaced)
    {
        ModelProto model = file.Envelope.Clone();
        model.Graph = replaced;
        if (_added.Count > 0)
        {
            // FLOAT4E2M1 belongs to IR version 11.
            model.IrVersion = Math.Max(model.IrVersion, 11);
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = OperatorNames.Domain, Version = 1 });
        }

        return model;
    }
}
