using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>What nodes compute from constants is the same here and in ONNX Runtime, for random chains of operators.</summary>
public sealed class ConstantValueTests : IDisposable
{
    private static readonly string[] Operators =
    [
        "Transpose", "Slice", "SliceBack", "Split", "Gather", "GatherOne", "Expand", "Reshape", "Unsqueeze", "Identity", "Cast", "Concat",
        "Mul", "Add", "Sub", "Div", "Neg", "MatMul", "Sqrt", "Reciprocal",
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;
    private readonly GraphProto _graph = new() { Name = "constants" };
    private Random _random = new(0);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 60)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void A_chain_of_operators_on_constants_makes_the_numbers_that_the_runtime_makes(int seed)
    {
        _random = new Random(seed);
        string value = Leaf([.. Enumerable.Range(0, _random.Next(1, 4)).Select(_ => _random.NextInt64(1, 7))]);
        for (int i = 0; i < 5; i++)
        {
            value = Apply(Operators[((seed * 5) + i) % Operators.Length], value, ShapeOf(value));
        }

        _graph.Node.Add(
            new NodeProto { OpType = "Cast", Input = { value }, Output = { "y" }, Attribute = { Int("to", (long)DataType.Float) } });
        _graph.Output.Add(new ValueInfoProto
        {
            Name = "y",
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)DataType.Float } },
        });
        string path = Save();
        using OnnxFile file = OnnxFile.Open(path);
        ConstantValue constant = ConstantValue.Of(new GraphIndex(file.Graph, path), "y")!;
        using InferenceSession session = new(path);
        using RunOptions options = new();
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(options, (Dictionary<string, OrtValue>)[], ["y"]);
        Assert.Equal(outputs[0].GetTensorTypeAndShape().Shape, constant.Dims);
        float[] expected = outputs[0].GetTensorDataAsSpan<float>().ToArray();
        Assert.All(expected.Zip(constant.Numbers(file)), pair =>
            Assert.True(
                pair.First.Equals(pair.Second) || Math.Abs(pair.First - pair.Second) <= 1e-5f * Math.Abs(pair.First),
                string.Create(CultureInfo.InvariantCulture, $"{pair.First} {pair.Second}")));
    }

    [Fact]
    public void A_value_that_depends_on_an_input_is_no_constant()
    {
        _graph.Input.Add(new ValueInfoProto
        {
            Name = "x",
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)DataType.Float } },
        });
        string sum = Node("Add", [Leaf([2, 2]), "x"]);
        GraphIndex graph = new(_graph, "model.onnx");
        Assert.Null(ConstantValue.Of(graph, Node("Neg", [sum])));
        Assert.NotNull(ConstantValue.Of(graph, graph.Producer(sum)!.Input[0]));
    }

    private string Apply(string op, string value, long[] dims)
    {
        int rank = dims.Length;
        int axis = rank == 0 ? 0 : _random.Next(rank);
        switch (op)
        {
            case "Transpose":
                long[] order = [.. Enumerable.Range(0, rank).OrderBy(_ => _random.Next()).Select(i => (long)i)];
                return Node("Transpose", [value], Ints("perm", order));
            case "Slice" when rank > 0 && dims[axis] > 1:
                return Node("Slice", [value, Integers(1), Integers(int.MaxValue), Integers(axis - rank)]);
            case "SliceBack" when rank > 0:
                return Node("Slice", [value, Integers(-1), Integers(long.MinValue), Integers(axis), Integers(-1)]);
            case "Split" when rank > 0 && dims[axis] > 2:
                return Node("Split", [value, Integers(1, dims[axis] - 1)], outputs: 2, part: 1, Int("axis", axis));
            case "Gather" when rank > 0:
                return Node("Gather", [value, Integers(dims[axis] - 1, 0, -1)], Int("axis", axis));
            case "GatherOne" when rank > 1:
                return Node("Gather", [value, Integers([], [-1])], Int("axis", axis));
            case "Expand":
                return Node("Expand", [value, Integers([2, .. dims.Select(_ => 1L)])]);
            case "Reshape":
                return Node("Reshape", [value, Integers(-1, rank > 0 ? dims[^1] : 1)]);
            case "Unsqueeze":
                return Node("Unsqueeze", [value, Integers(-1)]);
            case "Cast":
                DataType narrow = _random.Next(2) == 0 ? DataType.Float16 : DataType.Bfloat16;
                return Node("Cast", [Node("Cast", [value], Int("to", (long)narrow))], Int("to", (long)DataType.Float));
            case "Concat" when rank > 0:
                return Node("Concat", [value, Leaf(dims), value], Int("axis", axis));
            case "MatMul" when rank == 2:
                return Node("MatMul", [value, Leaf([dims[1], 3])]);
            case "Mul" or "Add" or "Sub" or "Div":
                return Node(op, _random.Next(2) == 0 ? [value, Leaf([.. dims.Skip(1)])] : [Leaf([.. dims.Select(_ => 1L)]), value]);
            case "Sqrt":
                return Node("Sqrt", [Node("Mul", [value, value])]);
            case "Reciprocal" or "Neg":
                return Node(op, [value]);
            default:
                return Node("Identity", [value]);
        }
    }

    /// <summary>As the code under test says it; the runtime's shape of the end is compared with it.</summary>
    private long[] ShapeOf(string value) => [.. ConstantValue.Of(new GraphIndex(_graph, "model.onnx"), value)!.Dims];

    private string Leaf(long[] dims)
    {
        string name = $"w{_graph.Initializer.Count}";
        float[] values = new float[dims.Aggregate(1L, (product, dim) => product * dim)];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = 0.5f + _random.NextSingle();
        }

        Add(name, DataType.Float, dims, MemoryMarshal.AsBytes<float>(values));
        return name;
    }

    private string Integers(params long[] values) => Integers([values.Length], values);

    private string Integers(long[] dims, long[] values)
    {
        string name = $"i{_graph.Initializer.Count}";
        Add(name, DataType.Int64, dims, MemoryMarshal.AsBytes<long>(values));
        return name;
    }

    private void Add(string name, DataType type, long[] dims, ReadOnlySpan<byte> bytes) => _graph.Initializer.Add(
        new TensorProto { Name = name, DataType = (int)type, Dims = { dims }, RawData = ByteString.CopyFrom(bytes) });

    private string Node(string op, string[] inputs, params AttributeProto[] attributes) => Node(op, inputs, 1, 0, attributes);

    private string Node(string op, string[] inputs, int outputs, int part, params AttributeProto[] attributes)
    {
        string[] made = [.. Enumerable.Range(0, outputs).Select(i => $"v{_graph.Node.Count}_{i}")];
        _graph.Node.Add(new NodeProto { OpType = op, Input = { inputs }, Output = { made }, Attribute = { attributes } });
        return made[part];
    }

    private string Save()
    {
        string path = Path.Combine(_folder, "model.onnx");
        File.WriteAllBytes(path, new ModelProto
        {
            IrVersion = 10,
            Graph = _graph,
            OpsetImport = { new OperatorSetIdProto { Version = 21 } },
        }.ToByteArray());
        return path;
    }

    private static AttributeProto Int(string name, long value) =>
        new() { Name = name, I = value, Type = AttributeProto.Types.AttributeType.Int };

    private static AttributeProto Ints(string name, params long[] values) =>
        new() { Name = name, Ints = { values }, Type = AttributeProto.Types.AttributeType.Ints };
}
