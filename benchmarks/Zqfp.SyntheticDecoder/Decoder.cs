using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.SyntheticDecoder;

/// <summary>
/// A decoder of LLaMA's shape in standard operators: RMS norms, causal attention of heads of 128, gated SiLU, residual streams. Several
/// heads may read one of keys and values. It has no rotary embedding, which costs nothing and changes no shape.
/// </summary>
internal sealed class Decoder(
    RandomWeights weights, int layers, int storedLayers, int hidden, int inner, int vocabulary, int keyHeads)
{
    public const int HeadSize = 128;

    private readonly GraphProto _graph = new() { Name = "synthetic decoder" };

    public ModelProto Build()
    {
        _graph.Input.Add(Value("input_ids", DataType.Int64, "batch", "length"));
        _graph.Output.Add(Value("logits", DataType.Float16, "batch", "length", vocabulary.ToString(CultureInfo.InvariantCulture)));
        Constants();
        _graph.Initializer.Add(weights.Tensor("embedding", "embedding", vocabulary, hidden));
        Node("Gather", "embedded", "embedding", "input_ids");
        CausalMask();
        string x = "embedded";
        for (int i = 0; i < layers; i++)
        {
            x = Layer(i, x);
        }

        Norm(x, "final");
        Linear("lm_head", "lm_head", "final", "logits", hidden, vocabulary);
        return new ModelProto { IrVersion = 8, Graph = _graph, OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 17 } } };
    }

    private string Layer(int index, string x)
    {
        string name = $"layers.{index}";
        string At(string part) => $"{name}.{part}";
        void Project(string part, string input, string output, int inFeatures, int outFeatures) =>
            Linear(At(part), $"layers.{index % storedLayers}.{part}", input, output, inFeatures, outFeatures);

        Norm(x, At("attention_input"));
        foreach (string part in new[] { "q", "k", "v" })
        {
            bool isShared = part != "q" && keyHeads * HeadSize < hidden;
            string heads = isShared ? $"{part}_shared" : $"{part}_heads";
            Project($"{part}_proj", At("attention_input"), At(part), hidden, isShared ? keyHeads * HeadSize : hidden);
            Node("Reshape", At($"{part}_split"), At(part), isShared ? "key_heads" : "heads");
            Node("Transpose", At(heads), At($"{part}_split")).Attribute.Add(Ints("perm", part == "k" ? [0, 2, 3, 1] : [0, 2, 1, 3]));
            if (isShared)
            {
                Node("Gather", At($"{part}_heads"), At(heads), "key_head_of_head").Attribute.Add(Int("axis", 1));
            }
        }

        Node("MatMul", At("products"), At("q_heads"), At("k_heads"));
        Node("Mul", At("scores"), At("products"), "attention_scale");
        Node("Add", At("masked"), At("scores"), "mask");
        Node("Softmax", At("weights"), At("masked")).Attribute.Add(Int("axis", -1));
        Node("MatMul", At("mixed_heads"), At("weights"), At("v_heads"));
        Node("Transpose", At("mixed_split"), At("mixed_heads")).Attribute.Add(Ints("perm", [0, 2, 1, 3]));
        Node("Reshape", At("mixed"), At("mixed_split"), "joined");
        Project("o_proj", At("mixed"), At("attended"), hidden, hidden);
        Node("Add", At("middle"), x, At("attended"));
        Norm(At("middle"), At("mlp_input"));
        Project("gate_proj", At("mlp_input"), At("gate"), hidden, inner);
        Project("up_proj", At("mlp_input"), At("up"), hidden, inner);
        Node("Sigmoid", At("open"), At("gate"));
        Node("Mul", At("silu"), At("gate"), At("open"));
        Node("Mul", At("gated"), At("silu"), At("up"));
        Project("down_proj", At("gated"), At("fed"), inner, hidden);
        Node("Add", At("output"), At("middle"), At("fed"));
        return At("output");
    }

    private void Linear(string name, string stored, string input, string output, int inFeatures, int outFeatures)
    {
        _graph.Initializer.Add(weights.Tensor($"{name}.weight", $"{stored}.weight", inFeatures, outFeatures));
        Node("MatMul", output, input, $"{name}.weight").Name = name;
    }

    private void Norm(string input, string output)
    {
        Node("Cast", $"{output}.wide", input).Attribute.Add(Int("to", (long)DataType.Float));
        Node("Mul", $"{output}.squares", $"{output}.wide", $"{output}.wide");
        Node("ReduceMean", $"{output}.mean", $"{output}.squares").Attribute.Add(Ints("axes", [-1]));
        Node("Add", $"{output}.positive", $"{output}.mean", "epsilon");
        Node("Sqrt", $"{output}.root", $"{output}.positive");
        Node("Div", $"{output}.normal", $"{output}.wide", $"{output}.root");
        Node("Cast", output, $"{output}.normal").Attribute.Add(Int("to", (long)DataType.Float16));
    }

    /// <summary>[length, length]: 0 where a token may look, -10000 behind it.</summary>
    private void CausalMask()
    {
        Node("Shape", "shape", "input_ids");
        Node("Gather", "length", "shape", "one");
        Node("Concat", "square", "length", "length").Attribute.Add(Int("axis", 0));
        Node("Expand", "full", "hidden_score", "square");
        Node("Trilu", "mask", "full", "one_scalar").Attribute.Add(Int("upper", 1));
    }

    private void Constants()
    {
        Constant<long>("heads", DataType.Int64, [4], [0, 0, hidden / HeadSize, HeadSize]);
        if (keyHeads * HeadSize < hidden)
        {
            int heads = hidden / HeadSize;
            Constant<long>("key_heads", DataType.Int64, [4], [0, 0, keyHeads, HeadSize]);
            Constant<long>(
                "key_head_of_head", DataType.Int64, [heads], [.. Enumerable.Range(0, heads).Select(head => (long)head * keyHeads / heads)]);
        }

        Constant<long>("joined", DataType.Int64, [3], [0, 0, hidden]);
        Constant<long>("one", DataType.Int64, [1], [1]);
        Constant<long>("one_scalar", DataType.Int64, [], [1]);
        Constant("epsilon", DataType.Float, [], [1e-5f]);
        Constant("attention_scale", DataType.Float16, [], [(Half)(1 / Math.Sqrt(HeadSize))]);
        Constant("hidden_score", DataType.Float16, [], [(Half)(-10000)]);
    }

    private void Constant<T>(string name, DataType type, long[] dims, T[] values)
        where T : unmanaged =>
        _graph.Initializer.Add(new TensorProto
        {
            Name = name,
            DataType = (int)type,
            Dims = { dims },
            RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<T>(values)),
        });

    private NodeProto Node(string op, string output, params string[] inputs)
    {
        var node = new NodeProto { OpType = op, Name = output, Input = { inputs }, Output = { output } };
        _graph.Node.Add(node);
        return node;
    }

    private static ValueInfoProto Value(string name, DataType type, params string[] dims)
    {
        var tensor = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = new TensorShapeProto() };
        tensor.Shape.Dim.AddRange(dims.Select(dim => long.TryParse(dim, CultureInfo.InvariantCulture, out long size)
            ? new TensorShapeProto.Types.Dimension { DimValue = size }
            : new TensorShapeProto.Types.Dimension { DimParam = dim }));
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = tensor } };
    }

    private static AttributeProto Int(string name, long value) => new() { Name = name, I = value, Type = AttributeType.Int };

    private static AttributeProto Ints(string name, long[] values) => new() { Name = name, Ints = { values }, Type = AttributeType.Ints };
}
