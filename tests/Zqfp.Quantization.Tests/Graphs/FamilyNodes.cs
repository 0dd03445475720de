using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>Writes the nodes of a decoder as an exporter spells them.</summary>
internal sealed class FamilyNodes(Idiom idiom)
{
    private const int Group = 16;
    private static readonly float[] Grid = [0, 0.5f, 1, 1.5f, 2, 3, 4, 6];

    private readonly GraphProto _graph = new() { Name = "main_graph" };
    private readonly Random _random = new(11);
    private readonly Dictionary<string, string> _tables = new(StringComparer.Ordinal);
    private string? _lengths;
    private string? _total;
    private int _count;

    public static AttributeProto Int(string name, long value) => new() { Name = name, I = value, Type = AttributeType.Int };

    public static AttributeProto Ints(string name, params long[] values) =>
        new() { Name = name, Ints = { values }, Type = AttributeType.Ints };

    public static AttributeProto Float(string name, float value) => new() { Name = name, F = value, Type = AttributeType.Float };

    public ModelProto Model()
    {
        var model = new ModelProto
        {
            IrVersion = 10,
            ProducerName = idiom.ToString(),
            Graph = _graph,
            OpsetImport = { new OperatorSetIdProto { Domain = "", Version = idiom == Idiom.TorchScript ? 17 : 21 } },
        };
        if (idiom == Idiom.GenAi)
        {
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 });
        }

        return model;
    }

    public void Input(string name, DataType type, params object[] dims) => _graph.Input.Add(Value(name, type, dims));

    public void Output(string name, params object[] dims) => _graph.Output.Add(Value(name, DataType.Float, dims));

    /// <summary>Lets the node that makes <paramref name="value"/> make the output <paramref name="name"/>.</summary>
    public void End(string value, string name)
    {
        foreach (NodeProto node in _graph.Node)
        {
            for (int i = 0; i < node.Output.Count; i++)
            {
                node.Output[i] = node.Output[i] == value ? name : node.Output[i];
            }
        }
    }

    public string Node(string op, string[] inputs, params AttributeProto[] attributes) => Node(op, "", inputs, attributes);

    /// <summary>y = x W^T + b.</summary>
    public string Linear(string x, string name, int inFeatures, int outFeatures, bool bias, bool flattens = false)
    {
        float[] weight = GridWeight(outFeatures, inFeatures);
        string? added = bias ? Floats($"{name}.bias", Random(outFeatures, 0.1f), outFeatures) : null;
        if (flattens)
        {
            // Conv1D of GPT-2: addmm over flattened rows.
            string stored = Floats($"{name}.weight", Transposed(weight, outFeatures, inFeatures), inFeatures, outFeatures);
            string rows = Reshape(x, -1, inFeatures);
            string product = Named("Gemm", name, added is null ? [rows, stored] : [rows, stored, added], Float("alpha", 1),
                Float("beta", 1));
            return Node("Reshape",
                [product, Node("Concat", [Node("Shape", [x], Int("start", 0), Int("end", 2)), Vector(outFeatures)], Int("axis", 0))]);
        }

        string matrix = idiom switch
        {
            Idiom.Dynamo => Node("Transpose", [Floats($"{name}.weight", weight, outFeatures, inFeatures)], Ints("perm", 1, 0)),
            Idiom.TorchScript => Floats($"onnx::MatMul_{_count++}", Transposed(weight, outFeatures, inFeatures), inFeatures, outFeatures),
            _ => Floats($"{name}.MatMul.weight", Transposed(weight, outFeatures, inFeatures), inFeatures, outFeatures),
        };
        string made = Named("MatMul", name, [x, matrix]);
        return added is null ? made : Node("Add", idiom == Idiom.TorchScript ? [added, made] : [made, added]);
    }

    public string Norm(string x, string name, int width, bool isRms, bool hasBias)
    {
        string gain = Floats($"{name}.weight", [.. Random(width, 0.2f).Select(value => 1 + value)], width);
        if (!isRms)
        {
            return Node("LayerNormalization", hasBias ? [x, gain, Floats($"{name}.bias", Random(width, 0.1f), width)] : [x, gain],
                Int("axis", -1), Float("epsilon", 1e-5f));
        }

        if (idiom == Idiom.GenAi)
        {
            return Node("SimplifiedLayerNormalization", [x, gain], Int("axis", -1), Float("epsilon", 1e-6f), Int("stash_type", 1));
        }

        string squares = Node("Pow", [x, Single(2)]);
        string mean = idiom == Idiom.TorchScript
            ? Node("ReduceMean", [squares], Ints("axes", -1), Int("keepdims", 1))
            : Node("ReduceMean", [squares, Vector(-1)], Int("keepdims", 1));
        string root = Node("Sqrt", [Node("Add", [mean, Single(1e-6f)])]);
        return Node("Mul", [gain, Node("Mul", [x, Node("Reciprocal", [root])])]);
    }

    public string Activation(string op, string x)
    {
        if (op != "Gelu" || idiom == Idiom.Dynamo)
        {
            return Node(op, [x]);
        }

        if (idiom == Idiom.GenAi)
        {
            return Node("Gelu", [x]);
        }

        string half = Node("Mul", [x, Node("Add", [Node("Erf", [Node("Div", [x, Single(MathF.Sqrt(2))])]), Single(1)])]);
        return Node("Mul", [half, Single(0.5f)]);
    }

    public string GroupQueryAttention(string[] inputs, int index, int heads, int keyHeads, int size, int rotated, int positions)
    {
        foreach (string part in new[] { "key", "value" })
        {
            Input($"past_key_values.{index}.{part}", DataType.Float, "batch", keyHeads, "past", "kv_cache_dim");
            _graph.Output.Add(Value($"present.{index}.{part}", DataType.Float, ["batch", keyHeads, "total", "kv_cache_dim"]));
        }

        _lengths ??= Node("Cast", [Node("Sub", [Node("ReduceSum", ["attention_mask", Vector(1)], Int("keepdims", 0)), Scalar(1)])],
            Int("to", (long)DataType.Int32));
        _total ??= Node("Cast", [Node("Gather", [Node("Shape", ["attention_mask"]), Scalar(1)], Int("axis", 0))],
            Int("to", (long)DataType.Int32));
        var node = new NodeProto
        {
            OpType = "GroupQueryAttention",
            Domain = "com.microsoft",
            Name = $"/model/layers.{index}/attn/GroupQueryAttention",
            Input =
            {
                inputs, $"past_key_values.{index}.key", $"past_key_values.{index}.value", _lengths, _total,
                HalfAngles("cos_cache", rotated, positions, MathF.Cos), HalfAngles("sin_cache", rotated, positions, MathF.Sin),
            },
            Output = { $"attended{index}", $"present.{index}.key", $"present.{index}.value" },
            Attribute = { Int("num_heads", heads), Int("kv_num_heads", keyHeads), Int("do_rotary", 1), Int("rotary_interleaved", 0), Float(
                "scale", 1 / MathF.Sqrt(size)) },
        };
        _graph.Node.Add(node);
        return node.Output[0];
    }

    /// <summary>An input of keys or values of earlier tokens, with <paramref name="value"/> behind it, which is an output.</summary>
    public string Cache(string value, int index, string part, int heads, int size)
    {
        string past = $"past_key_values.{index}.{part}";
        string present = $"present.{index}.{part}";
        Input(past, DataType.Float, "batch", heads, "past", size);
        _graph.Output.Add(Value(present, DataType.Float, ["batch", heads, "total", size]));
        _graph.Node.Add(new NodeProto
        {
            OpType = "Concat",
            Name = $"/model/layers.{index}/{part}/Concat",
            Input = { past, value },
            Output = { present },
            Attribute = { Int("axis", 2) },
        });
        return present;
    }

    public string[] Split(string x, params int[] sizes)
    {
        string[] outputs = [.. sizes.Select(_ => $"v{_count++}")];
        _graph.Node.Add(new NodeProto
        {
            OpType = "Split",
            Name = $"n{_count}",
            Input = { x, Vector([.. sizes.Select(size => (long)size)]) },
            Output = { outputs },
            Attribute = { Int("axis", -1) },
        });
        return outputs;
    }

    public string Slice(string x, int axis, int start, int end) => Node("Slice", [x, Vector(start), Vector(end), Vector(axis)]);

    public string Reshape(string x, params long[] dims) => Node("Reshape", [x, Vector(dims)]);

    public string Unsqueeze(string x, int axis) => Node("Unsqueeze", [x, Vector(axis)]);

    public string Scale(string x, float factor) => factor == 1 ? x : Node("Mul", [x, Single(factor)]);

    public string Table(string name, float scale, int rows, int columns) => Floats(name, Random(rows * columns, scale), rows, columns);

    public string Angles(string name, int rotated, int positions, Func<float, float> of) =>
        Once($"{name}_{rotated}", () => [.. Turns(rotated, positions).Chunk(rotated / 2).SelectMany(half => half.Concat(half)).Select(of)],
            positions, rotated);

    public string Mask(int heads, int positions)
    {
        float[] values = new float[heads * positions * positions];
        for (int i = 0; i < values.Length; i++)
        {
            (int head, int row, int column) = (i / (positions * positions), i / positions % positions, i % positions);
            values[i] = column > row ? -1e9f : heads == 1 ? 0 : (column - row) * MathF.ScaleB(1, -2 * (head + 1));
        }

        return Once("mask", () => values, 1, heads, positions, positions);
    }

    /// <summary>A number that a node reads.</summary>
    public string Scalar(long value) => Whole([], value);

    /// <summary>Numbers that a node reads.</summary>
    public string Vector(params long[] values) => Whole([values.Length], values);

    private string Single(float value)
    {
        var tensor = new TensorProto { DataType = (int)DataType.Float, FloatData = { value } };
        return Constant(tensor, () => new AttributeProto { Name = "value", T = tensor, Type = AttributeType.Tensor });
    }

    private string Whole(long[] dims, params long[] values)
    {
        var tensor = new TensorProto { DataType = (int)DataType.Int64, Dims = { dims }, Int64Data = { values } };
        return Constant(tensor, () => dims.Length == 0 ? Int("value_int", values[0]) : Ints("value_ints", values));
    }

    /// <summary>An initializer; TorchScript writes a Constant node.</summary>
    private string Constant(TensorProto tensor, Func<AttributeProto> attribute)
    {
        string name = $"c{_count++}";
        if (idiom == Idiom.TorchScript)
        {
            _graph.Node.Add(
                new NodeProto { OpType = "Constant", Name = $"/Constant_{_count++}", Output = { name }, Attribute = { attribute() } });
        }
        else
        {
            tensor.Name = name;
            _graph.Initializer.Add(tensor);
        }

        return name;
    }

    private string Named(string op, string name, string[] inputs, params AttributeProto[] attributes)
    {
        string path = "/" + name.Replace('.', '/') + "/" + op;
        string output = Node(op, idiom == Idiom.Dynamo ? $"node_{op}_{_count++}" : path, inputs, attributes);
        _graph.Node[^1].MetadataProps.Add(idiom == Idiom.Dynamo
            ? [new StringStringEntryProto { Key = "pkg.torch.onnx.name_scopes", Value = $"['', 'model', '{name}', 'linear']" }]
            : []);
        return output;
    }

    private string Node(string op, string name, string[] inputs, params AttributeProto[] attributes)
    {
        string output = $"v{_count++}";
        string domain = op is "SimplifiedLayerNormalization" ? "" : op == "Gelu" && idiom == Idiom.GenAi ? "com.microsoft" : "";
        _graph.Node.Add(new NodeProto
        {
            OpType = op,
            Domain = domain,
            Name = name.Length > 0 ? name : $"n{_count++}",
            Input = { inputs },
            Output = { output },
            Attribute = { attributes },
        });
        return output;
    }

    private string HalfAngles(string name, int rotated, int positions, Func<float, float> of) =>
        Once(name, () => [.. Turns(rotated, positions).Select(of)], positions, rotated / 2);

    private static IEnumerable<float> Turns(int rotated, int positions) => Enumerable.Range(0, positions)
        .SelectMany(position => Enumerable.Range(0, rotated / 2).Select(i => position * MathF.Pow(10000, -2f * i / rotated)));

    private string Once(string name, Func<float[]> values, params long[] dims)
    {
        if (!_tables.TryGetValue(name, out string? table))
        {
            _tables.Add(name, table = Floats(name, values(), dims));
        }

        return table;
    }

    private string Floats(string name, float[] values, params long[] dims)
    {
        _graph.Initializer.Add(Tensors.Floats(name, values, dims));
        return name;
    }

    private float[] Random(int count, float scale) => [.. Enumerable.Range(0, count).Select(_ => scale * ((2 * _random.NextSingle()) - 1))];

    /// <summary>Each group of a row has the largest value of the grid, so that its scale is the row's.</summary>
    private float[] GridWeight(int rows, int columns)
    {
        float[] weight = new float[rows * columns];
        for (int row = 0; row < rows; row++)
        {
            float scale = (0.5f + _random.NextSingle()) / (3 * MathF.Sqrt(columns));
            for (int column = 0; column < columns; column++)
            {
                float value = column % Group == 0 ? Grid[^1] : Grid[_random.Next(Grid.Length)];
                weight[(row * columns) + column] = scale * (_random.Next(2) == 0 ? value : -value);
            }
        }

        return weight;
    }

    private static float[] Transposed(float[] values, int rows, int columns)
    {
        float[] turned = new float[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            turned[(i % columns * rows) + (i / columns)] = values[i];
        }

        return turned;
    }

    private static ValueInfoProto Value(string name, DataType type, object[] dims)
    {
        var tensor = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = new TensorShapeProto() };
        tensor.Shape.Dim.AddRange(dims.Select(dim => dim is string symbol
            ? new TensorShapeProto.Types.Dimension { DimParam = symbol }
            : new TensorShapeProto.Types.Dimension { DimValue = Convert.ToInt64(dim) }));
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = tensor } };
    }
}
