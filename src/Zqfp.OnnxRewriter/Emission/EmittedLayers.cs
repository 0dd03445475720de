using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>What stands for the replaced layers in one profile: nodes in place of nodes, and the initializers they read.</summary>
internal sealed class EmittedLayers(LayerEmitter emitter)
{
    private readonly Dictionary<NodeProto, NodeProto[]> _replacements = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<NodeProto, NodeProto[]> _preparations = new(ReferenceEqualityComparer.Instance);
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
        NodeProto[] preparation = [.. emitter.Prepare(stage[0])];
        foreach (QuantizedLayerTensors layer in stage)
        {
            _isRotated |= layer.Rotation > 0;
            _replacements[layer.Layer.Nodes[0]] = [.. emitter.Replace(layer)];
            _preparations[layer.Layer.Nodes[0]] = preparation;
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

    /// <summary>
    /// <paramref name="nodes"/>, or some of them in running order, with layers replaced. What prepares a value for the layers that read it
    /// stands before the first of these that is there: which one that is differs from slice to slice.
    /// </summary>
    public IEnumerable<NodeProto> Expand(IEnumerable<NodeProto> nodes)
    {
        HashSet<NodeProto[]> prepared = [];
        foreach (NodeProto node in nodes)
        {
            if (_preparations.TryGetValue(node, out NodeProto[]? preparation) && prepared.Add(preparation))
            {
                foreach (NodeProto added in preparation)
                {
                    yield return added;
                }
            }

            foreach (NodeProto made in _replacements.GetValueOrDefault(node) ?? [node])
            {
                yield return made;
            }
        }
    }
}
