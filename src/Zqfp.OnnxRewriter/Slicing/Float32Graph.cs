using Google.Protobuf.Collections;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Makes graphs that compute in float16 or bfloat16 compute in float32. ONNX Runtime's CPU library has no kernels for bfloat16, and
/// computes float16 graphs in float32 but for the values that enter and leave them: those of a slice would be rounded, and could overflow,
/// where the whole model does neither. Every value is at least as exact as before; weights stay as they are and are cast when the model is
/// loaded.
/// </summary>
internal static class Float32Graph
{
    /// <summary>Attributes whose value is the element type of an output.</summary>
    private static readonly HashSet<string> TypeAttributes = ["to", "dtype", "output_dtype", "stash_type"];

    /// <summary>Whether anything in <paramref name="graph"/> is bfloat16, for which ONNX Runtime's CPU library has no kernels.</summary>
    public static bool UsesBfloat16(GraphProto graph) => Uses(graph, type => type == (long)DataType.Bfloat16);

    /// <summary>
    /// Whether ONNX Runtime's CPU library runs <paramref name="graph"/> in float32 alone: it has no kernels for bfloat16, and none that add
    /// float16 to scattered rows, as loops over experts do.
    /// </summary>
    public static bool IsNeededBy(GraphProto graph) => UsesBfloat16(graph) || (AddsScattered(graph) && UsesFloat16(graph));

    private static bool AddsScattered(GraphProto graph) => graph.Node.Any(node =>
        (node.OpType is "ScatterND" or "ScatterElements" && Attributes.Text(node, "reduction") is not (null or "none"))
        || Subgraphs.Of(node).Any(AddsScattered));

    /// <summary>Whether anything in <paramref name="graph"/> is float16.</summary>
    public static bool UsesFloat16(GraphProto graph) => Uses(graph, type => type == (long)DataType.Float16);

    /// <summary>Makes <paramref name="model"/> compute in float32 what it computes in float16 or bfloat16.</summary>
    /// <param name="model">A model; nodes are replaced rather than changed, because other models may hold them too.</param>
    /// <param name="weights">The content of initializers that are marked as external, by name.</param>
    /// <param name="keeps">Whether an initializer of this name keeps its type, because its reader asks for it.</param>
    /// <returns>That content under the names that the initializers have now.</returns>
    internal static Dictionary<string, TensorData> Widen(
        ModelProto model, IReadOnlyDictionary<string, TensorData> weights, Func<string, bool> keeps)
    {
        Dictionary<string, TensorData> renamed = weights.ToDictionary(StringComparer.Ordinal);
        GraphProto graph = model.Graph;
        NodeProto[] nodes = [.. graph.Node.Select(Widen)];
        graph.Node.Clear();
        foreach (TensorProto tensor in graph.Initializer.Where(tensor => Is(tensor.DataType) && !keeps(tensor.Name)))
        {
            string name = tensor.Name;
            tensor.Name = $"{name}.zqfp.narrow";
            graph.Node.Add(new NodeProto
            {
                OpType = "Cast",
                Input = { tensor.Name },
                Output = { name },
                Attribute = { Attributes.Make("to", (long)DataType.Float) },
            });
            if (renamed.Remove(name, out TensorData? content))
            {
                renamed.Add(tensor.Name, content);
            }
        }

        graph.Node.AddRange(nodes);
        WidenDeclarations(graph);
        foreach (FunctionProto function in model.Functions)
        {
            NodeProto[] body = [.. function.Node.Select(Widen)];
            function.Node.Clear();
            function.Node.AddRange(body);
        }

        return renamed;
    }

    private static NodeProto Widen(NodeProto node)
    {
        if (!Uses(node, Is))
        {
            return node;
        }

        NodeProto wide = node.Clone();
        foreach (AttributeProto attribute in wide.Attribute)
        {
            if (IsType(attribute))
            {
                attribute.I = (long)DataType.Float;
            }

            if (attribute.T is { } tensor && Is(tensor.DataType))
            {
                attribute.T = Wide(tensor);
            }

            foreach (GraphProto graph in Subgraphs.Of(attribute))
            {
                WidenSubgraph(graph);
            }
        }

        return wide;
    }

    private static void WidenSubgraph(GraphProto graph)
    {
        NodeProto[] nodes = [.. graph.Node.Select(Widen)];
        TensorProto[] initializers = [.. graph.Initializer.Select(tensor => Is(tensor.DataType) ? Wide(tensor) : tensor)];
        graph.Node.Clear();
        graph.Node.AddRange(nodes);
        graph.Initializer.Clear();
        graph.Initializer.AddRange(initializers);
        WidenDeclarations(graph);
    }

    private static void WidenDeclarations(GraphProto graph)
    {
        foreach (RepeatedField<ValueInfoProto> values in new[] { graph.Input, graph.Output, graph.ValueInfo })
        {
            ValueInfoProto[] wide = [.. values.Select(Wide)];
            values.Clear();
            values.AddRange(wide);
        }
    }

    private static ValueInfoProto Wide(ValueInfoProto value)
    {
        if (!Is(value.Type?.TensorType?.ElemType ?? 0))
        {
            return value;
        }

        ValueInfoProto wide = value.Clone();
        wide.Type.TensorType.ElemType = (int)DataType.Float;
        return wide;
    }

    /// <summary>The same numbers as float32.</summary>
    private static TensorProto Wide(TensorProto tensor)
    {
        ReadOnlyMemory<byte> bytes = tensor.HasRawData ? tensor.RawData.Memory : TensorStore.TypedBytes(tensor);
        float[] values = new float[bytes.Length / 2];
        new TensorData((DataType)tensor.DataType, tensor.Dims, bytes).ReadFloats(0, values);
        return new TensorProto { Name = tensor.Name, DataType = (int)DataType.Float, Dims = { tensor.Dims }, FloatData = { values } };
    }

    private static bool Uses(GraphProto graph, Func<long, bool> isType) =>
        graph.Initializer.Any(tensor => isType(tensor.DataType))
        || graph.Input.Concat(graph.Output).Any(value => isType(value.Type?.TensorType?.ElemType ?? 0))
        || graph.Node.Any(node => Uses(node, isType));

    private static bool Uses(NodeProto node, Func<long, bool> isType) => node.Attribute.Any(attribute =>
        (NamesType(attribute) && isType(attribute.I)) || isType(attribute.T?.DataType ?? 0)
            || Subgraphs.Of(attribute).Any(graph => Uses(graph, isType)));

    private static bool IsType(AttributeProto attribute) => NamesType(attribute) && Is(attribute.I);

    private static bool NamesType(AttributeProto attribute) => attribute.Type == AttributeType.Int
        && TypeAttributes.Contains(attribute.Name);

    private static bool Is(long type) => type is (long)DataType.Bfloat16 or (long)DataType.Float16;
}
