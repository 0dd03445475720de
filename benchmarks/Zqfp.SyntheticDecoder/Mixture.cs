using System.Globalization;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.SyntheticDecoder;

/// <summary>
/// Layers of a mixture of experts in the shape of DeepSeek-V4-Flash, between an embedding and a head: in each a router, and
/// <c>com.microsoft.MoE</c> with gate and up projection in one. The first has no number in its names.
/// </summary>
internal sealed class Mixture(RandomWeights weights, int experts, int hidden, int inner, int perToken, int layers)
{
    private const int Vocabulary = 1024;

    public ModelProto Build()
    {
        GraphProto graph = new() { Name = "synthetic mixture" };
        graph.Input.Add(Value("input_ids", DataType.Int64, "batch", "length"));
        graph.Output.Add(Value("logits", DataType.Float16, "batch", "length", Vocabulary.ToString(CultureInfo.InvariantCulture)));
        graph.Initializer.Add(weights.Tensor("embedding", "embedding", Vocabulary, hidden));
        graph.Initializer.Add(weights.Tensor("lm_head.weight", "head", hidden, Vocabulary));
        graph.Initializer.Add(Integers("rows", -1, hidden));
        Node(graph, "Gather", "embedded", "embedding", "input_ids");
        Node(graph, "Shape", "shape", "embedded");
        string stream = "embedded";
        for (int layer = 0; layer < layers; layer++)
        {
            stream = Layer(graph, stream, layer == 0 ? "" : layer.ToString(CultureInfo.InvariantCulture));
        }

        Node(graph, "MatMul", "logits", stream, "lm_head.weight");
        return new ModelProto
        {
            IrVersion = 8,
            Graph = graph,
            OpsetImport =
            {
                new OperatorSetIdProto { Domain = "", Version = 17 }, new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 },
            },
        };
    }

    /// <summary>Adds a layer that reads <paramref name="stream"/>, and returns the stream behind it.</summary>
    private string Layer(GraphProto graph, string stream, string number)
    {
        graph.Initializer.Add(weights.Tensor($"router{number}.weight", $"router{number}", hidden, experts));
        graph.Initializer.Add(weights.Tensor($"fc1{number}", $"fc1{number}", experts, 2 * inner, hidden));
        graph.Initializer.Add(weights.Tensor($"fc2{number}", $"fc2{number}", experts, hidden, inner));
        Node(graph, "Reshape", $"x{number}", stream, "rows");
        Node(graph, "MatMul", $"routing{number}", $"x{number}", $"router{number}.weight");
        NodeProto mixture = Node(graph, "MoE", $"mixed{number}", $"x{number}", $"routing{number}", $"fc1{number}", "", $"fc2{number}");
        mixture.Domain = "com.microsoft";
        mixture.Attribute.Add(
        [
            Int("k", perToken), Int("normalize_routing_weights", 1), Int("swiglu_fusion", 1),
            new AttributeProto { Name = "activation_type", S = ByteString.CopyFromUtf8("swiglu"), Type = AttributeType.String },
        ]);
        Node(graph, "Reshape", $"mixed{number}_rows", $"mixed{number}", "shape");
        Node(graph, "Add", $"stream{number}", stream, $"mixed{number}_rows");
        return $"stream{number}";
    }

    private static NodeProto Node(GraphProto graph, string op, string output, params string[] inputs)
    {
        var node = new NodeProto { OpType = op, Name = $"{output}_node", Input = { inputs }, Output = { output } };
        graph.Node.Add(node);
        return node;
    }

    private static TensorProto Integers(string name, params long[] values) => new()
    {
        Name = name,
        DataType = (int)DataType.Int64,
        Dims = { values.Length },
        Int64Data = { values },
    };

    private static AttributeProto Int(string name, long value) => new() { Name = name, I = value, Type = AttributeType.Int };

    private static ValueInfoProto Value(string name, DataType type, params string[] dims)
    {
        var tensor = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = new TensorShapeProto() };
        tensor.Shape.Dim.AddRange(dims.Select(dim => long.TryParse(dim, CultureInfo.InvariantCulture, out long size)
            ? new TensorShapeProto.Types.Dimension { DimValue = size }
            : new TensorShapeProto.Types.Dimension { DimParam = dim }));
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = tensor } };
    }
}
