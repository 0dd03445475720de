using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>What stands for the replaced layers in one profile: nodes in place of nodes, and the initializers they read.</summary>
internal sealed class EmittedLayers(LayerEmitter emitter)
{
    private readonly Dictionary<NodeProto, NodeProto[]> _replacements = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<NodeProto, NodeProto[]> _preparations = new(ReferenceEqualityComparer.Instance);
    private readonly SortedDictionary<string, TensorData> _initializers = new(StringComparer.Ordinal);

    private readonly HashSet<string> _made = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Input, int Rotation, ActivationRounding Rounding), NodeProto[]> _prepared = [];
    private bool _isRotated;
    private bool _hasExperts;

    /// <summary>Whether anything is replaced.</summary>
    public bool IsEmpty => _replacements.Count == 0;

    /// <summary>The profile's emitter.</summary>
    public LayerEmitter Emitter => emitter;

    /// <summary>Function bodies of the nodes.</summary>
    public IEnumerable<FunctionProto> Functions =>
        [.. emitter.Functions(_isRotated, _hasExperts), .. IsFused ? emitter.FusedFunctions(_isRotated) : []];

    /// <summary>Whether the nodes are fused afterwards.</summary>
    public bool IsFused { get; set; }

    /// <summary>Initializers of the replaced layers, by name, in ordinal order.</summary>
    public IEnumerable<KeyValuePair<string, TensorData>> Initializers => _initializers;

    /// <summary>Adds the layers of one stage, in the order they run.</summary>
    public void Add(IReadOnlyList<QuantizedLayerTensors> stage)
    {
        // Layers of two stages may read one value; it is prepared once.
        (string, int, ActivationRounding) read = (stage[0].Layer.Input, stage[0].Rotation, stage[0].Activations);
        if (!_prepared.TryGetValue(read, out NodeProto[]? preparation))
        {
            _prepared.Add(read, preparation = [.. emitter.Prepare(stage[0])]);
        }

        foreach (IGrouping<string, QuantizedLayerTensors> group in stage.Where(layer => layer.Layer.Expert is not null)
            .GroupBy(layer => layer.Layer.Expert!.Group))
        {
            var experts = new ExpertTensors(group);
            NodeProto product = experts.All.Layer.Nodes[0];
            _isRotated |= experts.All.Rotation > 0;
            _hasExperts = true;
            NodeProto[] made = [.. emitter.Replace(experts)];
            _replacements[product] = made;
            _made.UnionWith(made.SelectMany(node => node.Output));
            _preparations[product] = preparation;
            foreach ((string name, TensorData data) in emitter.Initializers(experts).Concat(emitter.SharedInitializers))
            {
                _initializers[name] = data;
            }
        }

        foreach (QuantizedLayerTensors layer in stage.Where(layer => layer.Layer.Expert is null).Select(WithBias))
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

    /// <summary>The layer with a new bias as its own.</summary>
    private QuantizedLayerTensors WithBias(QuantizedLayerTensors layer)
    {
        if (layer.Bias is not { } bias)
        {
            return layer;
        }

        LinearLayer fitted = layer.Layer with { Bias = $"{layer.Layer.Name}{emitter.Marker}fitted_bias" };
        _initializers[fitted.Bias] = TensorData.Of(fitted.Type, [fitted.OutFeatures], bias.Span);
        return layer with { Layer = fitted };
    }

    /// <summary>
    /// Lets an expert that is a node of its own be computed in floating point as experts of one constant are, so that both have the same
    /// bits.
    /// </summary>
    public void AddFloatExpert(LinearLayer layer)
    {
        NodeProto product = layer.Nodes[0];
        bool isInputMajor = product.OpType == "MatMul" || Attributes.Int(product, "transB", 0) == 0;
        var nodes = new StandardExperts(layer.Output, emitter.Marker);
        string shape = $"{layer.Output}{emitter.Marker}stack_shape", zero = $"{layer.Output}{emitter.Marker}zero";
        _initializers[shape] = TensorData.Integers(
            isInputMajor ? [1, layer.InFeatures, layer.OutFeatures] : [1, layer.OutFeatures, layer.InFeatures]);
        _initializers[zero] = new TensorData(TensorProto.Types.DataType.Int64, [], new byte[sizeof(long)]);
        AddConstantsOfExperts();
        string stack = nodes.Add("Reshape", "stack", [product.Input[1], shape]);
        string leading = nodes.Add("Slice", "leading",
            [nodes.Add("Shape", "dims", [layer.Input]), nodes.Constant("first"), nodes.Constant("last")]);
        string index = nodes.Add("Expand", "index", [zero, leading]);
        string result = layer.Bias is null ? layer.Output : $"{layer.Output}{emitter.Marker}unbiased";
        nodes.Append(new NodeProto
        {
            Domain = OperatorNames.Domain,
            OpType = OperatorNames.ExpertMatMul,
            Name = $"{result}.{OperatorNames.ExpertMatMul}",
            Input = { layer.Input, index, stack },
            Output = { result },
            Attribute = { isInputMajor ? [Attributes.Make(OperatorNames.InputMajor, 1)] : (AttributeProto[])[] },
        });
        if (layer.Bias is { } bias)
        {
            nodes.Last("Add", [result, bias]);
        }

        _replacements[product] = [.. nodes.Nodes];
        foreach (NodeProto node in layer.Nodes.Skip(1))
        {
            _replacements[node] = [];
        }
    }

    /// <summary>Adds an embedding.</summary>
    public void Add(QuantizedEmbedding embedding)
    {
        var nodes = new EmbeddingNodes(emitter.Marker);
        _replacements[embedding.Table.Node] = [.. nodes.Of(embedding.Table)];
        foreach ((string name, TensorData data) in nodes.Initializers(embedding))
        {
            _initializers[name] = data;
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

    /// <summary>
    /// <paramref name="nodes"/>, with float products of experts that are not replaced in standard operators, for runtimes without ours.
    /// </summary>
    public IEnumerable<NodeProto> SpellExperts(IEnumerable<NodeProto> nodes)
    {
        foreach (NodeProto node in nodes)
        {
            if (node.Domain != OperatorNames.Domain || node.OpType != OperatorNames.ExpertMatMul || _made.Contains(node.Output[0]))
            {
                yield return node;
                continue;
            }

            AddConstantsOfExperts();
            foreach (NodeProto made in StandardExperts.Spell(node, emitter.Marker))
            {
                yield return made;
            }
        }
    }

    private void AddConstantsOfExperts()
    {
        foreach ((string name, TensorData data) in StandardExperts.Constants(emitter.Marker))
        {
            _initializers[name] = data;
        }
    }
}
