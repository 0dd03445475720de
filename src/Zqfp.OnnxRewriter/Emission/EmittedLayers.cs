using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>What stands for the replaced layers in one profile: nodes in place of nodes, and the initializers they read.</summary>
internal sealed class EmittedLayers(LayerEmitter emitter)
{
    private readonly Dictionary<NodeProto, NodeProto[]> _replacements = new(ReferenceEqualityComparer.Instance);
    private readonly SortedDictionary<string, TensorData> _initializers = new(StringComparer.Ordinal);

    private bool _isRotated;

    /// <summary>Whether anything is replaced.</summary>
    public bool IsEmpty => _replacements.Count == 0;

    /// <summary>The profile's emitter.</summary>
    public LayerEmitter Emitter => emitter;

    /// <summary>Function bodies of the nodes.</summary>
    public IEnumerable<FunctionProto> Functions => emitter.Functions(_isRotated);

    /// <summary>Initializers of the replaced layers, by name, in ordinal order.</summary>
    public IEnumerable<KeyValuePair<string, TensorData>> Initializers => _initializers;

    /// <summary>Adds the layers of one stage, in the order they run.</summary>
    public void Add(IReadOnlyList<QuantizedLayerTensors> stage)
    {
        foreach (QuantizedLayerTensors layer in stage)
        {
            _isRotated |= layer.Rotation > 0;
            IEnumerable<NodeProto> nodes = emitter.Replace(layer);
            _replacements[layer.Layer.Nodes[0]] = [.. ReferenceEquals(layer, stage[0]) ? emitter.Prepare(layer).Concat(nodes) : nodes];
            foreach (NodeProto node in layer.Layer.Nodes.Skip(1))
            {
                _replacements[node] = [];
            }

            foreach ((string name, TensorData data) in emitter.Initializers(layer).Concat(emitter.SharedInitializers))
            {
                _initializers[name] = data;
            }
        }
    }

    /// <summary>The nodes that stand for <paramref name="node"/>.</summary>
    public IEnumerable<NodeProto> NodesFor(NodeProto node) => _replacements.GetValueOrDefault(node) ?? [node];
}
