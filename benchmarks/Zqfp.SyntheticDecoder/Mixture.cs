using System.Globalization;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.SyntheticDecoder;

/// <summary>
/// One layer of a mixture of experts in the shape of DeepSeek-V4-Flash, between an embedding and a head: a router, and
/// <c>com.microsoft.MoE</c> with gate and up projection in one.
/// </summary>
internal sealed class Mixture(RandomWeights weights, int experts, int hidden, int inner, int perToken)
{
    private const int Vocabulary = 1024;

    public ModelProto Build()
    {
        GraphProto graph = new() { Name = "synthetic mixture" };
        graph.Input.Add(Value("input_ids", DataType.Int64, "batch", "length"));
        graph.Output.Add(Value("logits", DataType.Float16, "batch", "length", Vocabulary.ToString(CultureInfo.InvariantCulture)));
        graph.Initializer.Add(weights.Tensor("embedding", "embedding", Vocabulary, hidden));
        graph.Initializer.Add(weights.Tensor("router.weight", "router", hidden, experts));
        graph.Initializer.Add(weights.Tensor("fc1", "fc1", experts, 2 * inner, hidden));
        graph.Initializer.Add(weights.Tensor("fc2", "fc2", experts, hidden, inner));
        graph.Initializer.Add(weights.Tensor("lm_head.weight", "head", hidden, Vocabulary));
        graph.Initializer.Add(Integers("rows", -1, hidden));
        Node(graph, "Gather", "embedded", "embedding", "input_ids");
        Node(graph, "Reshape", "x", "embedded", "rows");
        Node(graph, "MatMul", "routing", "x", "router.weight");
        NodeProto mixture = Node(graph, "MoE", "mixed", "x", "routing", "fc1", "", "fc2");
        mixture.Domain = "com.microsoft";
        mixture.Attribute.Add(
        [
            Int("k", perToken), Int("normalize_routing_weights", 1), Int("swiglu_fusion", 1),
            new AttributeProto { Name = "activation_type", S = ByteString.CopyFromUtf8("swiglu"), Type = AttributeType.String },
        ]);
        Node(graph, "Shape", "shape", "embedded");
        Node(graph, "Reshape", "mixed_rows", "mixed", "shape");
        Node(graph, "Add", "stream", "embedded", "mixed_rows");
        Node(graph, "MatMul", "logits", "stream", "lm_head.weight");
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
