using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.ModelBench;

/// <summary>
/// A decoder of LLaMA's shape in float16 as ONNX Runtime GenAI's model builder writes it for its CUDA provider: packed projections of
/// queries, keys and values, GroupQueryAttention with rotary embedding and a key-value cache that is written in place,
/// SkipSimplifiedLayerNormalization, logits of the last token only. Sequence lengths are inputs, so that a CUDA graph can hold all of it,
/// or come from an attention mask, as GenAI's own models have them.
/// </summary>
internal sealed class CachedDecoder(
    DecoderShape shape, WeightKind kind, RandomData data, int storedLayers, int positions, bool readsMask = false)
{
    private const string Microsoft = OperatorNames.MicrosoftDomain;

    private readonly GraphProto _graph = new() { Name = "cached decoder" };
    private readonly HashSet<string> _quantized = [];

    public ModelProto Build()
    {
        _graph.Input.Add(Value("input_ids", DataType.Int64, "batch", "length"));
        if (readsMask)
        {
            Lengths();
        }
        else
        {
            _graph.Input.Add(Value("last_positions", DataType.Int32, "batch"));
            _graph.Input.Add(Value("total_length", DataType.Int32, "1"));
        }

        _graph.Output.Add(Value("logits", DataType.Float16, "batch", "1", Text(shape.Vocabulary)));
        Constants();
        _graph.Initializer.Add(data.Normal("embedding", "embedding", 1, shape.Vocabulary, shape.Hidden));
        Node("", "Gather", "embedded", ["embedding", "input_ids"]);
        Norm("embedded", null, "layers.0.attention_input", null);
        string residual = "embedded";
        string normal = "layers.0.attention_input";
        for (int i = 0; i < shape.Layers; i++)
        {
            (residual, normal) = Layer(i, residual, normal);
        }

        Node("", "Gather", "last", [normal, "minus_one"]).Attribute.Add(Int("axis", 1));
        _graph.Initializer.Add(data.Normal("lm_head.weight", "lm_head", Deviation(shape.Hidden), shape.Hidden, shape.Vocabulary));
        Node("", "MatMul", "logits", ["last", "lm_head.weight"]);
        return new ModelProto
        {
            IrVersion = 11,
            Graph = _graph,
            OpsetImport =
            {
                new OperatorSetIdProto { Domain = "", Version = 21 }, new OperatorSetIdProto { Domain = Microsoft, Version = 1 },
                new OperatorSetIdProto { Domain = OperatorNames.Domain, Version = OperatorNames.DomainVersion },
            },
        };
    }

    /// <summary>Lengths from the mask, in the nodes of GenAI's model builder.</summary>
    private void Lengths()
    {
        _graph.Input.Add(Value("attention_mask", DataType.Int64, "batch", "total"));
        Constant<long>("one", DataType.Int64, [1], [1]);
        Node("", "ReduceSum", "lengths", ["attention_mask", "one"]).Attribute.Add(Int("keepdims", 0));
        Node("", "Sub", "last_positions_64", ["lengths", "one"]);
        Node("", "Cast", "last_positions", ["last_positions_64"]).Attribute.Add(Int("to", (long)DataType.Int32));
        Node("", "Shape", "mask_shape", ["attention_mask"]);
        Node("", "Gather", "total_length_64", ["mask_shape", "one"]).Attribute.Add(Int("axis", 0));
        Node("", "Cast", "total_length", ["total_length_64"]).Attribute.Add(Int("to", (long)DataType.Int32));
    }

    private (string Residual, string Normal) Layer(int index, string residual, string normal)
    {
        string name = $"layers.{Text(index)}", stored = $"stored.{Text(index % storedLayers)}";
        string At(string part) => $"{name}.{part}";
        void Project(string part, string input, string output, int columns, int rows) =>
            Linear(At(part), $"{stored}.{part}", input, output, columns, rows);

        Project("qkv_proj", normal, At("qkv"), shape.Hidden, shape.Packed);
        Attention(index, At("qkv"), At("mixed"));
        Project("o_proj", At("mixed"), At("attended"), shape.Hidden, shape.Hidden);
        Norm(residual, At("attended"), At("mlp_input"), At("middle"));
        if (kind.Joins)
        {
            Project("gate_up_proj", At("mlp_input"), At("gate_up"), shape.Hidden, 2 * shape.Inner);
            Quantize(OperatorNames.GateQuantizeTokens, At("gated"), [At("gate_up")]);
        }
        else
        {
            Project("gate_proj", At("mlp_input"), At("gate"), shape.Hidden, shape.Inner);
            Project("up_proj", At("mlp_input"), At("up"), shape.Hidden, shape.Inner);
            Node("", "Sigmoid", At("open"), [At("gate")]);
            Node("", "Mul", At("silu"), [At("gate"), At("open")]);
            Node("", "Mul", At("gated"), [At("silu"), At("up")]);
        }

        Project("down_proj", At("gated"), At("fed"), shape.Inner, shape.Hidden);
        string next = index + 1 < shape.Layers ? $"layers.{Text(index + 1)}.attention_input" : "final";
        Norm(At("middle"), At("fed"), next, At("output"));
        return (At("output"), next);
    }

    private void Attention(int index, string qkv, string output)
    {
        string number = Text(index);
        string[] cache = [$"past_key_values.{number}.key", $"past_key_values.{number}.value"];
        string[] present = [$"present.{number}.key", $"present.{number}.value"];
        foreach (string name in cache)
        {
            _graph.Input.Add(Value(name, DataType.Float16, "batch", Text(shape.KeyHeads), "positions", Text(shape.HeadSize)));
        }

        foreach (string name in present)
        {
            _graph.Output.Add(Value(name, DataType.Float16, "batch", Text(shape.KeyHeads), "positions", Text(shape.HeadSize)));
        }

        NodeProto node = Node(
            Microsoft, "GroupQueryAttention", output, [qkv, "", "", .. cache, "last_positions", "total_length", "cosines", "sines"]);
        node.Output.AddRange(present);
        node.Attribute.AddRange([Int("num_heads", shape.Heads), Int("kv_num_heads", shape.KeyHeads), Int("do_rotary", 1)]);
    }

    /// <summary>RMS norm of a value, or of the sum of two, which then gets a name too.</summary>
    private void Norm(string x, string? skip, string output, string? sum)
    {
        if (kind.Joins && output != "final")
        {
            NodeProto fused = Quantize(OperatorNames.NormQuantizeTokens, output, skip is null ? [x, "gains"] : [x, "gains", skip]);
            fused.Attribute.Add(Float(OperatorNames.Epsilon, 1e-5f));
            if (sum is not null)
            {
                fused.Output.Add(sum);
            }

            return;
        }

        if (skip is null)
        {
            Node("", "SimplifiedLayerNormalization", output, [x, "gains"]).Attribute.AddRange([Float("epsilon", 1e-5f), Int("axis", -1)]);
            return;
        }

        NodeProto node = Node(Microsoft, "SkipSimplifiedLayerNormalization", output, [x, skip, "gains"]);
        node.Attribute.Add(Float("epsilon", 1e-5f));
        node.Output.AddRange(["", "", sum!]);
    }

    private void Linear(string name, string stored, string input, string output, int columns, int rows)
    {
        if (kind.Block == 0)
        {
            _graph.Initializer.Add(data.Normal($"{name}.weight", $"{stored}.half", Deviation(columns), columns, rows));
            Node("", "MatMul", output, [input, $"{name}.weight"]).Name = name;
        }
        else if (kind.Operator is not null)
        {
            Ours(name, stored, input, output, columns, rows);
        }
        else
        {
            Integers(name, stored, input, output, columns, rows);
        }
    }

    private void Integers(string name, string stored, string input, string output, int columns, int rows)
    {
        long blocks = (columns + kind.Block - 1) / kind.Block;
        stored = $"{stored}.int4-{Text(kind.Block)}";
        _graph.Initializer.Add(data.Bytes(
            $"{name}.codes", $"{stored}.codes", DataType.Uint8, 256, rows * blocks * kind.Block / 2, rows, blocks, kind.Block / 2));
        // Codes less 8 have a deviation of 4.6.
        _graph.Initializer.Add(data.Scales(
            $"{name}.scales", $"{stored}.scales", DataType.Float16, Deviation(columns) / 4.6, value => (Half)value, rows * blocks));
        Node(Microsoft, OperatorNames.MatMulNBits, output, [input, $"{name}.codes", $"{name}.scales"]).Attribute.AddRange(
            [Int("K", columns), Int("N", rows), Int("bits", 4), Int("block_size", kind.Block)]);
    }

    private void Ours(string name, string stored, string input, string output, int columns, int rows)
    {
        long groups = (columns + kind.Block - 1) / kind.Block;
        bool readsCodes = kind.Operator != OperatorNames.MatMulW4A16, isWide = kind.Operator == OperatorNames.MatMulW8A8;
        if (readsCodes && !_quantized.Contains(input))
        {
            Quantize(OperatorNames.QuantizeTokens, input, [input]);
        }

        _graph.Initializer.Add(isWide
            ? data.Bytes($"{name}.codes", $"{stored}.fp8", DataType.Float8E4M3Fn, 64, (long)rows * columns, rows, columns)
            : data.Bytes($"{name}.codes", $"{stored}.fp4", DataType.Float4E2M1, 256, (long)rows * columns / 2, rows, columns));
        // E2M1 values have a deviation of 2.9, and exponents of 0 to 3 halve it about; E4M3 codes below 64 are at most 2.
        double deviation = Deviation(columns) / (isWide ? 0.5 : 2.9);
        List<string> inputs = [.. readsCodes ? [Codes(input), Scale(input)] : (string[])[input], $"{name}.codes"];
        if (kind.Operator == OperatorNames.MatMulW4A8Scaled)
        {
            _graph.Initializer.Add(data.Scales(
                $"{name}.scales", $"{stored}.free", DataType.Float, deviation, value => (float)value, rows, groups));
            inputs.Add($"{name}.scales");
        }
        else
        {
            _graph.Initializer.Add(data.Bytes($"{name}.exponents", $"{stored}.exponents", DataType.Uint8, 4, rows * groups, rows, groups));
            _graph.Initializer.Add(data.Scales(
                $"{name}.scales", $"{stored}.rows", DataType.Float, 2 * deviation, value => (float)value, rows));
            inputs.AddRange([$"{name}.exponents", $"{name}.scales"]);
        }

        if (kind.Rank > 0)
        {
            _graph.Initializer.Add(data.Normal($"{name}.down", $"{stored}.down", Deviation(columns), kind.Rank, columns));
            _graph.Initializer.Add(data.Normal($"{name}.up", $"{stored}.up", 0.05, rows, kind.Rank));
            inputs.AddRange(kind.Projects ? ["", "", $"{name}.up", Project(input, $"{name}.down")] : ["", $"{name}.down", $"{name}.up"]);
        }

        Node(OperatorNames.Domain, kind.Operator!, output, inputs)
            .Attribute.AddRange([Int(OperatorNames.GroupSize, kind.Block), Int(OperatorNames.OutputType, (long)DataType.Float16)]);
    }

    /// <summary>The node that quantizes a value also takes it times A.</summary>
    private string Project(string value, string factor)
    {
        NodeProto node = _graph.Node.First(one => one.Output[0] == Codes(value));
        (int input, int output) = node.OpType switch
        {
            OperatorNames.QuantizeTokens => (1, 2),
            OperatorNames.GateQuantizeTokens => (2, 2),
            _ => (4, 3),
        };
        node.Input.AddRange(Enumerable.Repeat("", input - node.Input.Count));
        node.Input.Add(factor);
        node.Output.AddRange(Enumerable.Repeat("", output - node.Output.Count));
        node.Output.Add(value + ".projected");
        return node.Output[output];
    }

    /// <summary>The codes and scales of a value, which a node makes of it or of what it is made of.</summary>
    private NodeProto Quantize(string op, string value, string[] inputs)
    {
        _quantized.Add(value);
        NodeProto node = Node(OperatorNames.Domain, op, Codes(value), inputs);
        node.Output.Add(Scale(value));
        return node;
    }

    private void Constants()
    {
        Constant<long>("minus_one", DataType.Int64, [1], [-1]);
        int half = shape.HeadSize / 2;
        var cosines = new Half[positions * half];
        var sines = new Half[positions * half];
        for (int position = 0; position < positions; position++)
        {
            for (int i = 0; i < half; i++)
            {
                (double sine, double cosine) = Math.SinCos(position / Math.Pow(10000, i / (double)half));
                sines[(position * half) + i] = (Half)sine;
                cosines[(position * half) + i] = (Half)cosine;
            }
        }

        _graph.Initializer.Add(data.Values<Half>("cosines", DataType.Float16, cosines, positions, half));
        _graph.Initializer.Add(data.Values<Half>("sines", DataType.Float16, sines, positions, half));
        var gains = new Half[shape.Hidden];
        Array.Fill(gains, (Half)1);
        _graph.Initializer.Add(data.Values<Half>("gains", DataType.Float16, gains, shape.Hidden));
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

    private NodeProto Node(string domain, string op, string output, IEnumerable<string> inputs)
    {
        var node = new NodeProto { Domain = domain, OpType = op, Name = output, Input = { inputs }, Output = { output } };
        _graph.Node.Add(node);
        return node;
    }

    private static string Codes(string value) => value + ".fp8";

    private static string Scale(string value) => value + ".scale";

    private static double Deviation(int columns) => 1 / Math.Sqrt(columns);

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static ValueInfoProto Value(string name, DataType type, params string[] dims)
    {
        var tensor = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = new TensorShapeProto() };
        tensor.Shape.Dim.AddRange(dims.Select(dim => long.TryParse(dim, CultureInfo.InvariantCulture, out long size)
            ? new TensorShapeProto.Types.Dimension { DimValue = size }
            : new TensorShapeProto.Types.Dimension { DimParam = dim }));
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = tensor } };
    }

    private static AttributeProto Int(string name, long value) => new() { Name = name, I = value, Type = AttributeType.Int };

    private static AttributeProto Float(string name, float value) => new() { Name = name, F = value, Type = AttributeType.Float };
}
