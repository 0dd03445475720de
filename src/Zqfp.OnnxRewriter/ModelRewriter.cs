using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// A model whose layers are replaced one stage after another. At any moment a slice of it can be run (with the layers
/// replaced so far) or the whole of it saved. The opened file is never changed.
/// </summary>
/// <param name="file">The original, which must stay open.</param>
/// <param name="graph">Its index.</param>
/// <param name="running">The profile that slices run in: custom, or simulated where that is what will be saved.</param>
internal sealed class ModelRewriter(OnnxFile file, GraphIndex graph, EmissionProfile running = EmissionProfile.Custom)
{
    /// <summary>The accuracy level of MatMulNBits where none is chosen: activations are rounded to int8, and the product is fast.</summary>
    public const int DefaultAccuracyLevel = 4;

    private readonly List<IReadOnlyList<QuantizedLayerTensors>> _stages = [];
    private readonly List<QuantizedEmbedding> _embeddings = [];
    private readonly EmittedLayers _running = new(LayerEmitter.Of(running, graph));
    private readonly Lazy<CpuForms> _cpu = new(() => new CpuForms(graph, file.Path));

    /// <summary>
    /// What MatMulNBits may round its input to in the profile <see cref="EmissionProfile.Stock"/>: 1 float32, 2 float16, 3 bfloat16, 4
    /// int8; 0 leaves the choice to the runtime.
    /// </summary>
    public int AccuracyLevel { get; init; } = DefaultAccuracyLevel;

    /// <summary>
    /// What is fused in the profiles <see cref="EmissionProfile.Custom"/> and <see cref="EmissionProfile.Portable"/> when a model is saved.
    /// </summary>
    public OperatorFusion Fusion { get; init; }

    /// <summary>Replaces layers that read the same value.</summary>
    /// <param name="layers">The replacements, at least one, in the order the layers run.</param>
    /// <exception cref="ZqfpException">ZQFP1006: no operator computes this combination of formats.</exception>
    public void Replace(IReadOnlyList<QuantizedLayerTensors> layers)
    {
        if (layers.Select(_running.Emitter.Refusal).FirstOrDefault(refusal => refusal is not null) is { } why)
        {
            throw new ZqfpException("ZQFP1006", $"{why} Choose another constraint or activation format.", file.Path);
        }

        _stages.Add(layers);
        _running.Add(layers);
    }

    /// <summary>Replaces an embedding.</summary>
    public void Replace(QuantizedEmbedding embedding)
    {
        _embeddings.Add(embedding);
        _running.Add(embedding);
    }

    /// <summary>Lets slices compute an expert that is a node of its own as they compute experts of one constant.</summary>
    public void ComputeAsExpert(LinearLayer layer) => _running.AddFloatExpert(layer);

    /// <summary>Checks that the model can be written in <paramref name="profile"/>, before any work goes into it.</summary>
    /// <exception cref="ZqfpException">ZQFP1010: the profile needs a newer operator set than the model can be raised to.</exception>
    public void Require(EmissionProfile profile)
    {
        long opset = file.Envelope.OpsetImport.First(import => import.Domain.Length == 0).Version;
        if (OpsetRaiser.Refusal(graph.Graph, opset, LayerEmitter.Of(profile).Needs.Opset) is { } why)
        {
            throw new ZqfpException("ZQFP1010", why, file.Path);
        }
    }

    /// <summary>The slice of <paramref name="stage"/> as a model of its own, with the layers replaced so far.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="kept">Element type and rank of the values the slice reads from earlier ones.</param>
    /// <returns>The model, whose large initializers are given beside it.</returns>
    public SliceModel Slice(CalibrationStage stage, IReadOnlyDictionary<string, (DataType Type, int Rank)> kept)
    {
        string[] outputs = [.. stage.Keeps.Concat(stage.Observes.Except(stage.Reads)).Distinct()];
        List<NodeProto> nodes = AttentionGuards.Move(
            new FusedNodes(Live(Running(stage.Nodes), outputs), outputs), IsZero);
        HashSet<string> read = [.. nodes.SelectMany(GraphIndex.ReadBy), .. outputs];
        GraphProto slice = new() { Name = stage.Input };
        slice.Node.AddRange(nodes);
        slice.Input.AddRange(graph.Inputs.Where(input => read.Contains(input.Name)));
        slice.Input.AddRange(stage.Reads.Where(read.Contains).Select(value => Declare(value, kept[value])));
        slice.Output.AddRange(outputs.Select(value => new ValueInfoProto { Name = value, Type = graph.TypeOf(value) }));
        return Runnable(slice, read);
    }

    /// <summary>
    /// The whole model, with the layers replaced so far, as one that ONNX Runtime runs on the CPU: it computes in float32.
    /// </summary>
    /// <returns>The model, whose large initializers are given beside it.</returns>
    public SliceModel Whole()
    {
        List<NodeProto> nodes = Live(Running(graph.Nodes), graph.Graph.Output.Select(output => output.Name));
        GraphProto whole = new() { Name = graph.Graph.Name };
        whole.Node.AddRange(nodes);
        whole.Input.AddRange(graph.Inputs);
        whole.Output.AddRange(graph.Graph.Output);
        return Runnable(whole, [.. nodes.SelectMany(GraphIndex.ReadBy), .. graph.Graph.Output.Select(output => output.Name)]);
    }

    /// <summary>
    /// What stands before the head, as a model of its own whose output is <see cref="HeadCut.Hidden"/>. Of a float16 model it is float32,
    /// as ONNX Runtime has it inside the whole model: a plain head goes on from there without rounding.
    /// </summary>
    /// <param name="cut">Where the model is cut.</param>
    /// <param name="also">Other outputs of the model that it is to have.</param>
    /// <returns>The model, in the original's element types unless the CPU has no kernels for them.</returns>
    public SliceModel Body(HeadCut cut, IReadOnlyList<string> also)
    {
        const string Exact = ".zqfp.float32";
        List<NodeProto> nodes = Live(Running(graph.Nodes), [cut.Hidden, .. also]);
        HashSet<string> read = [.. nodes.SelectMany(GraphIndex.ReadBy)];
        GraphProto body = new() { Name = graph.Graph.Name };
        body.Node.AddRange(nodes);
        body.Input.AddRange(graph.Inputs.Where(input => read.Contains(input.Name)));
        bool isCast = cut.IsPlain && Float32Graph.UsesFloat16(graph.Graph);
        if (isCast)
        {
            body.Node.Add(new NodeProto
            {
                OpType = "Cast",
                Input = { cut.Hidden },
                Output = { cut.Hidden + Exact },
                Attribute = { Attributes.Make("to", (long)DataType.Float) },
            });
        }

        body.Output.Add(isCast
            ? new ValueInfoProto { Name = cut.Hidden + Exact }
            : new ValueInfoProto { Name = cut.Hidden, Type = graph.TypeOf(cut.Hidden) });
        body.Output.AddRange(graph.Graph.Output.Where(output => also.Contains(output.Name)));
        return Runnable(body, read, Float32Graph.IsNeededBy(graph.Graph));
    }

    /// <summary>The head, as a model of its own that reads <see cref="HeadCut.Hidden"/> and gives <see cref="HeadCut.Logits"/>.</summary>
    /// <param name="cut">Where the model is cut.</param>
    /// <param name="hidden">Element type and rank of the value it reads, as the body gives it.</param>
    /// <returns>The model, in float32 where it is plain, else in the original's element types.</returns>
    public SliceModel Head(HeadCut cut, (DataType Type, int Rank) hidden)
    {
        List<NodeProto> nodes = Live(Running(graph.Nodes.Where(node => !IsBefore(node, cut))), [cut.Logits]);
        HashSet<string> read = [.. nodes.SelectMany(GraphIndex.ReadBy)];
        GraphProto head = new() { Name = graph.Graph.Name };
        head.Node.AddRange(nodes);
        head.Input.Add(Declare(cut.Hidden, hidden));
        head.Output.Add(new ValueInfoProto { Name = cut.Logits, Type = TypeWithoutShape(cut.Logits) });
        return Runnable(head, read, cut.IsPlain || Float32Graph.IsNeededBy(graph.Graph));
    }

    private bool IsZero(string value)
    {
        if (graph.Constant(value) is not { } tensor || tensor.Dims.Any(size => size != 1))
        {
            return false;
        }

        float number = 1;
        file.Read(tensor).ReadFloats(0, new Span<float>(ref number));
        return number == 0;
    }

    /// <summary><paramref name="nodes"/> as the CPU runs them, with the layers replaced so far.</summary>
    private IEnumerable<NodeProto> Running(IEnumerable<NodeProto> nodes) => _running.Expand(nodes.SelectMany(_cpu.Value.Of));

    private static bool IsBefore(NodeProto node, HeadCut cut) => node.Output.Contains(cut.Hidden);

    private TypeProto? TypeWithoutShape(string value) => graph.TypeOf(value)?.TensorType is { } tensor
        ? new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = tensor.ElemType } }
        : null;

    private SliceModel Runnable(GraphProto slice, HashSet<string> read, bool isFloat32 = true)
    {
        IReadOnlyList<(string Name, TensorData Data)> numbers = LowFloatWeights.Take(slice, _cpu.Value.Graph, file);
        if (numbers.Count > 0)
        {
            read.IntersectWith(slice.Node.SelectMany(GraphIndex.ReadBy).Concat(slice.Output.Select(output => output.Name)).ToList());
        }

        Dictionary<string, TensorData> weights = new(StringComparer.Ordinal);
        foreach ((TensorProto header, TensorData data) in Initializers(_cpu.Value.Graph, _running, read)
            .Concat(numbers.Select(number => (Header(number.Name, number.Data), number.Data))))
        {
            bool isLarge = data.ByteLength >= InlineLimit;
            slice.Initializer.Add(isLarge ? External(header, "weights", 0, data.ByteLength) : Inline(header, data));
            if (isLarge)
            {
                weights.Add(header.Name, data);
            }
        }

        ModelProto model = Envelope(_running, slice);
        if (!isFloat32)
        {
            return new SliceModel(model, weights);
        }

        // What is generated has the type its reader asks for; float products of experts read any, and their weights are the largest.
        HashSet<string> asTheyAre =
        [
            .. _running.Initializers.Select(entry => entry.Key),
            .. slice.Node.Where(node => node.Domain == OperatorNames.Domain && node.OpType == OperatorNames.ExpertMatMul)
                .Select(node => node.Input[2]),
        ];
        return new SliceModel(model, Float32Graph.Widen(model, weights, asTheyAre.Contains));
    }

    /// <summary>
    /// Writes the model as it now is for <paramref name="path"/> and its weights for <c>path + ".data"</c>; both take their place when
    /// that is committed.
    /// </summary>
    /// <remarks>The same model gives the same bytes.</remarks>
    /// <param name="path">Where to.</param>
    /// <param name="profile">In which operators.</param>
    /// <param name="metadata">Properties to add to the model's own, in this order.</param>
    /// <param name="contentKey">
    /// The property that receives the SHA-256 of the model's content: of its structure without weights and this property, and of each
    /// weight's description and bytes. The files' names are no part of it.
    /// </param>
    /// <param name="cancellation">Stops the writing; nothing is left behind.</param>
    /// <exception cref="ZqfpException">ZQFP0002: the files cannot be written.</exception>
    public ModelWriter Write(string path, EmissionProfile profile, IEnumerable<KeyValuePair<string, string>> metadata,
        string contentKey, CancellationToken cancellation)
    {
        var emission = new EmittedLayers(LayerEmitter.Of(profile, graph, AccuracyLevel));
        _stages.ForEach(emission.Add);
        _embeddings.ForEach(emission.Add);
        string[] outputs = [.. graph.Graph.Output.Select(output => output.Name)];
        List<NodeProto> nodes = Live(emission.SpellExperts(emission.Expand(graph.Nodes)), outputs);
        Dictionary<string, TensorData> joined = [];
        if (Fusion == OperatorFusion.All && profile is EmissionProfile.Custom or EmissionProfile.Portable)
        {
            emission.IsFused = true;
            (nodes, joined) = Fuse(emission, nodes, outputs, hasBodies: profile == EmissionProfile.Portable);
        }

        HashSet<string> read = [.. nodes.SelectMany(GraphIndex.ReadBy), .. outputs];
        HashSet<string> made = [.. nodes.SelectMany(node => node.Output)];
        GraphProto rewritten = GraphShell.Of(graph.Graph);
        rewritten.Node.AddRange(nodes.Select(node => node.Clone()));

        // Older models list initializers among the inputs; a weight that is replaced must not stay behind as an input to feed.
        HashSet<string> initializers = [.. graph.Graph.Initializer.Select(tensor => tensor.Name)];
        ValueInfoProto[] inputs = [.. rewritten.Input.Where(input => !initializers.Contains(input.Name) || read.Contains(input.Name))];
        rewritten.Input.Clear();
        rewritten.Input.AddRange(inputs);
        ValueInfoProto[] values = [.. rewritten.ValueInfo.Where(value => made.Contains(value.Name))];
        rewritten.ValueInfo.Clear();
        rewritten.ValueInfo.AddRange(values);
        ModelProto model = Envelope(emission, rewritten);
        model.MetadataProps.AddRange(metadata.Select(entry => new StringStringEntryProto { Key = entry.Key, Value = entry.Value }));
        return ModelWriter.Write(path, model, Initializers(graph, emission, read, joined), contentKey, cancellation);
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

    /// <summary>Fuses nodes; of those that have function bodies, what these can express.</summary>
    private (List<NodeProto> Nodes, Dictionary<string, TensorData> Joined) Fuse(
        EmittedLayers emission, List<NodeProto> nodes, IReadOnlyList<string> outputs, bool hasBodies)
    {
        const int FirstOpsetWithSizesOfSplit = 13;
        Dictionary<string, TensorData> generated = new(emission.Initializers);
        nodes = new QuantizingNorms(new FusedNodes(nodes, outputs), Constant, TypeOf).Apply();
        nodes = new QuantizingActivations(new FusedNodes(nodes, outputs), Constant).Apply();
        long opset = file.Envelope.OpsetImport.First(import => import.Domain.Length == 0).Version;
        bool canSplit = Math.Max(opset, emission.Emitter.Needs.Opset) >= FirstOpsetWithSizesOfSplit;
        var products = new JoinedProducts(new FusedNodes(nodes, outputs), generated, Constant, canSplit, packs: !hasBodies);
        nodes = products.Apply();
        if (hasBodies)
        {
            return (FusedBodies.GiveAll(nodes), products.Initializers);
        }

        var projecting = new ProjectingQuantizers(
            new FusedNodes(nodes, outputs), name => products.Initializers.GetValueOrDefault(name) ?? generated.GetValueOrDefault(name));
        nodes = projecting.Apply();
        return (nodes, new(products.Initializers.Concat(projecting.Initializers)));

        TensorData? Constant(string name) => generated.GetValueOrDefault(name)
            ?? (graph.Constant(name) is { } tensor ? file.Read(tensor) : null);

        DataType? TypeOf(string value) => graph.TypeOf(value)?.TensorType is { ElemType: > 0 } type ? (DataType)type.ElemType : null;
    }

    /// <summary>
    /// The initializers among <paramref name="names"/>: the original's in its order, then those added, in ordinal order, then those of
    /// fused nodes.
    /// </summary>
    private IEnumerable<(TensorProto Header, TensorData Data)> Initializers(
        GraphIndex from, EmittedLayers emission, HashSet<string> names, IReadOnlyDictionary<string, TensorData>? joined = null)
    {
        foreach (TensorProto tensor in from.Graph.Initializer.Where(tensor => names.Contains(tensor.Name)))
        {
            TensorData data = file.Read(tensor);
            yield return (Header(tensor.Name, data), data);
        }

        foreach ((string name, TensorData data) in emission.Initializers.Where(entry => names.Contains(entry.Key))
            .Concat((joined ?? new Dictionary<string, TensorData>()).Where(entry => names.Contains(entry.Key))
                .OrderBy(entry => entry.Key, StringComparer.Ordinal)))
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

    /// <summary>The original model around another graph, with what the emitted nodes need.</summary>
    private ModelProto Envelope(EmittedLayers emission, GraphProto replaced)
    {
        ModelProto model = file.Envelope.Clone();
        model.Graph = replaced;
        if (!emission.IsEmpty)
        {
            (long ir, long opset) = emission.Emitter.Needs;
            model.IrVersion = Math.Max(model.IrVersion, ir);
            OpsetRaiser.Raise(model, opset);
            model.Functions.Add(emission.Functions);
        }

        // Float products of experts are nodes of ours too.
        foreach (string domain in (string[])[OperatorNames.Domain, OperatorNames.MicrosoftDomain])
        {
            if (replaced.Node.Any(node => node.Domain == domain) && !model.OpsetImport.Any(import => import.Domain == domain))
            {
                model.OpsetImport.Add(new OperatorSetIdProto { Domain = domain, Version = 1 });
            }
        }

        return model;
    }
}
