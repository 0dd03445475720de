using System.Runtime.InteropServices;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>Writes quantized layers in the nodes of one profile. Holds nothing: the same layers give the same nodes.</summary>
internal abstract class LayerEmitter
{
    /// <summary>Lowest IR version and default operator set the nodes need.</summary>
    public abstract (long Ir, long Opset) Needs { get; }

    /// <summary>Function bodies for nodes of domain <c>zqfp</c>, so that runtimes without the operators can run them.</summary>
    /// <param name="rotated">Whether any layer is rotated.</param>
    /// <param name="hasExperts">Whether any of them is a product for experts.</param>
    public virtual IEnumerable<FunctionProto> Functions(bool rotated, bool hasExperts) => [];

    /// <summary>Function bodies of the operators that <see cref="OperatorFusion.All"/> writes besides.</summary>
    /// <param name="rotated">Whether any layer is rotated.</param>
    public virtual IEnumerable<FunctionProto> FusedFunctions(bool rotated) => [];

    /// <summary>Initializers that all layers share.</summary>
    public virtual IEnumerable<(string Name, TensorData Data)> SharedInitializers => [];

    /// <summary>Why <paramref name="layer"/> cannot be written in this profile, or null.</summary>
    public abstract string? Refusal(QuantizedLayerTensors layer);

    /// <summary>Nodes that prepare the value that layers read, once for all of them.</summary>
    /// <param name="first">The first of these layers.</param>
    public abstract IEnumerable<NodeProto> Prepare(QuantizedLayerTensors first);

    /// <summary>Nodes that replace one layer.</summary>
    public abstract IEnumerable<NodeProto> Replace(QuantizedLayerTensors layer);

    /// <summary>The initializers those nodes read, by name.</summary>
    public abstract IEnumerable<(string Name, TensorData Data)> Initializers(QuantizedLayerTensors layer);

    /// <summary>Nodes that replace a product for experts.</summary>
    public abstract IEnumerable<NodeProto> Replace(ExpertTensors experts);

    /// <summary>The initializers those nodes read, by name.</summary>
    public abstract IEnumerable<(string Name, TensorData Data)> Initializers(ExpertTensors experts);

    /// <summary>What marks the names of generated values, such as <c>.zqfp.</c>: no name of the graph has it.</summary>
    public string Marker { get; private init; } = QuantizedNames.Marker;

    /// <summary>The emitter of a profile.</summary>
    /// <param name="profile">The profile.</param>
    /// <param name="graph">The graph that it writes into; null where only its needs are asked for.</param>
    /// <param name="accuracyLevel">The accuracy level of MatMulNBits in the profile <see cref="EmissionProfile.Stock"/>.</param>
    public static LayerEmitter Of(EmissionProfile profile, GraphIndex? graph = null, int accuracyLevel = ModelRewriter.DefaultAccuracyLevel)
    {
        string marker = graph is null ? QuantizedNames.Marker : MarkerOf(graph);
        return profile switch
        {
            EmissionProfile.Custom => new CustomEmitter(DataType.Float4E2M1) { Marker = marker },
            EmissionProfile.Portable => new PortableEmitter { Marker = marker },
            EmissionProfile.Stock => new StockEmitter(accuracyLevel) { Marker = marker },
            EmissionProfile.Simulated => new SimulatedEmitter { Marker = marker },
            _ => new QdqEmitter { Marker = marker },
        };
    }

    /// <summary>A model that has been quantized in part, and is quantized further, has names with the usual marker.</summary>
    private static string MarkerOf(GraphIndex graph)
    {
        var names = new FreshNames(graph.Graph);
        string marker = QuantizedNames.Marker;
        for (int i = 2; names.AnyContains(marker); i++)
        {
            marker = FormattableString.Invariant($".zqfp{i}.");
        }

        return marker;
    }

    protected static NodeProto Node(string domain, string op, string name, IEnumerable<string> inputs, IEnumerable<string> outputs,
        params AttributeProto[] attributes) => new()
        {
            Name = name,
            Domain = domain,
            OpType = op,
            Input = { inputs },
            Output = { outputs },
            Attribute = { attributes },
        };

    /// <summary>A node of ONNX's own operators, named after its output.</summary>
    protected NodeProto Standard(string op, string[] inputs, string output, params AttributeProto[] attributes) =>
        Node("", op, Derived(output, op), inputs, [output], attributes);

    protected NodeProto Cast(string input, string output, DataType type) =>
        Standard("Cast", [input], output, Attributes.Make("to", (long)type));

    /// <summary>
    /// Name of what belongs to one layer's weight, such as <c>q_proj.zqfp.codes</c>: that of the layer it was quantized for.
    /// </summary>
    protected string Part(LinearLayer layer, string part) => $"{layer.SharesWeightOf ?? layer.Name}{Marker}{part}";

    /// <summary>Name of the layer's first low-rank factor, which layers of one expert may have together.</summary>
    protected string Down(LinearLayer layer) => $"{layer.JoinedTo ?? layer.SharesWeightOf ?? layer.Name}{Marker}down";

    /// <summary>Name of a value derived from what layers read, such as <c>x.zqfp.fp8</c>.</summary>
    protected string Derived(string value, string part) => $"{value}{Marker}{part}";

    /// <summary>The layer's input rotated, as float32.</summary>
    protected string Rotated(string value) => Derived(value, "rotated");

    /// <summary>The node that rotates the layer's input.</summary>
    protected NodeProto RotateTokens(QuantizedLayerTensors layer, string read) => Node(
        OperatorNames.Domain,
        OperatorNames.RotateTokens,
        Derived(layer.Layer.Input, OperatorNames.RotateTokens),
        [read],
        [Rotated(layer.Layer.Input)],
        [.. RotationOf(layer)]);

    /// <summary>The attribute <c>rotation</c>, left out where a layer has none.</summary>
    protected static IEnumerable<AttributeProto> RotationOf(QuantizedLayerTensors layer) =>
        layer.Rotation > 0 ? [Attributes.Make(OperatorNames.Rotation, layer.Rotation)] : [];

    /// <summary>N, K and the number of groups.</summary>
    protected static (long Rows, long Columns, long Groups) Shape(QuantizedLayerTensors tensors)
    {
        long columns = tensors.Layer.InFeatures;
        return (tensors.Layer.OutFeatures, columns, (columns + tensors.GroupSize - 1) / tensors.GroupSize);
    }

    protected static byte[] Bytes<T>(ReadOnlyMemory<T> values)
        where T : unmanaged => MemoryMarshal.AsBytes(values.Span).ToArray();

    /// <summary>S * 2^-k of every group, exactly.</summary>
    protected static float[] GroupScales(QuantizedLayerTensors layer, int groups)
    {
        if (layer.Exponents is not { } exponents)
        {
            return layer.Scales.ToArray();
        }

        float[] scales = new float[exponents.Length];
        for (int i = 0; i < scales.Length; i++)
        {
            scales[i] = MathF.ScaleB(layer.Scales.Span[i / groups], -exponents.Span[i]);
        }

        return scales;
    }

    /// <summary>A factor [rows, columns] as the initializer [columns, rows] that MatMul reads.</summary>
    protected static TensorData Turned(ReadOnlySpan<Half> values, int rows, int columns)
    {
        Half[] turned = new Half[values.Length];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                turned[(j * rows) + i] = values[(i * columns) + j];
            }
        }

        return new TensorData(DataType.Float16, [columns, rows], Bytes<Half>(turned));
    }
}
