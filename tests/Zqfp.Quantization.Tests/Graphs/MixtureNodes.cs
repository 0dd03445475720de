using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>Collects the nodes and constants of a small model in one element type; weights lie on the FP4 grid in groups of 16.</summary>
/// <param name="type">Element type of what it computes.</param>
/// <param name="opset">Operator set.</param>
internal sealed class MixtureNodes(DataType type, long opset = 21)
{
    private const int Group = 16;
    private static readonly float[] Grid = [0, 0.5f, 1, 1.5f, 2, 3, 4, 6];

    private readonly Random _random = new(11);
    private int _count;

    public GraphProto Graph { get; } = new() { Name = "main_graph" };

    public DataType Type => type;

    public static AttributeProto Int(string name, long value) => FamilyNodes.Int(name, value);

    public static AttributeProto Perm(params long[] values) => FamilyNodes.Ints("perm", values);

    public static AttributeProto Text(string name, string value) =>
        new() { Name = name, S = ByteString.CopyFromUtf8(value), Type = AttributeType.String };

    public ModelProto Model() => new()
    {
        IrVersion = 10,
        Graph = Graph,
        OpsetImport =
        {
            new OperatorSetIdProto { Domain = "", Version = opset },
            new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 },
        },
    };

    /// <summary>A node with one output.</summary>
    public string Node(string op, string[] inputs, params AttributeProto[] attributes) => Nodes(op, 1, inputs, attributes)[0];

    /// <summary>A node with several outputs.</summary>
    public string[] Nodes(string op, int outputs, string[] inputs, params AttributeProto[] attributes)
    {
        string[] made = [.. Enumerable.Range(0, outputs).Select(_ => $"v{_count++}")];
        Graph.Node.Add(new NodeProto
        {
            OpType = op,
            Domain = op is "MoE" or "QMoE" ? "com.microsoft" : "",
            Name = $"node_{op}_{_count++}",
            Input = { inputs },
            Output = { made },
            Attribute = { attributes },
        });
        return made;
    }

    public string Integers(params long[] values) => Integer([values.Length], values);

    public string Integer(long value) => Integer([], [value]);

    /// <summary>A constant number of the model's type.</summary>
    public string Number(float value) => Constant([value]);

    /// <summary>A constant of the model's type.</summary>
    public string Constant(float[] values, params long[] dims)
    {
        TensorProto tensor = Typed(values, type);
        tensor.Dims.AddRange(dims);
        return Add(tensor, $"c{_count++}");
    }

    /// <summary>Random numbers around <paramref name="middle"/>.</summary>
    public string Random(string name, float scale, float middle, params long[] dims)
    {
        TensorProto tensor = Typed(
            [.. Enumerable.Range(0, (int)dims.Aggregate(1L, (a, b) => a * b)).Select(_ => middle + (scale * Next()))], type);
        tensor.Dims.AddRange(dims);
        return Add(tensor, name);
    }

    /// <summary>
    /// A stack of matrices with <paramref name="rows"/> outputs and <paramref name="columns"/> inputs, or one where there are none, stored
    /// [E, N, K], or [E, K, N].
    /// </summary>
    public string Weights(string name, int? experts, int rows, int columns, bool isInputMajor = false, DataType? stored = null)
    {
        int count = experts ?? 1;
        float[] values = new float[count * rows * columns];
        for (int row = 0; row < count * rows; row++)
        {
            // Few digits, so that 16-bit types have the products with the grid too.
            float scale = (8 + _random.Next(8)) / (16 * MathF.ScaleB(1, (int)MathF.Round(0.5f * MathF.Log2(9 * columns))));
            for (int column = 0; column < columns; column++)
            {
                float value = scale * (column % Group == 0 ? Grid[^1] : Grid[_random.Next(Grid.Length)]);
                int place = isInputMajor ? (((row / rows * columns) + column) * rows) + (row % rows) : (row * columns) + column;
                values[place] = _random.Next(2) == 0 ? value : -value;
            }
        }

        long[] matrix = isInputMajor ? [columns, rows] : [rows, columns];
        TensorProto tensor = Typed(values, stored ?? type);
        tensor.Dims.AddRange(experts is null ? matrix : [count, .. matrix]);
        return Add(tensor, name);
    }

    /// <summary>A constant with the name <paramref name="name"/>.</summary>
    public string Add(TensorProto tensor, string name)
    {
        tensor.Name = name;
        Graph.Initializer.Add(tensor);
        return name;
    }

    public string Reshape(string x, params long[] dims) => Node("Reshape", [x, Integers(dims)]);

    public string Unsqueeze(string x, int axis) => Node("Unsqueeze", [x, Integers(axis)]);

    public string Squeeze(string x, int axis) => Node("Squeeze", [x, Integers(axis)]);

    public string Silu(string x) => Node("Mul", [x, Node("Sigmoid", [x])]);

    public string Cast(string x, DataType to) => Node("Cast", [x], Int("to", (long)to));

    public string Sum(string x, int axis) => Node("ReduceSum", [x, Integers(axis)], Int("keepdims", 0));

    private float Next() => (2 * _random.NextSingle()) - 1;

    private string Integer(long[] dims, long[] values) => Add(
        new TensorProto { DataType = (int)DataType.Int64, Dims = { dims }, Int64Data = { values } }, $"c{_count++}");

    private static TensorProto Typed(float[] values, DataType type)
    {
        byte[] raw = type switch
        {
            DataType.Float16 => MemoryMarshal.AsBytes<Half>(Array.ConvertAll(values, value => (Half)value)).ToArray(),
            DataType.Bfloat16 => MemoryMarshal.AsBytes<ushort>(
                Array.ConvertAll(values, value => (ushort)((BitConverter.SingleToUInt32Bits(value) + 0x8000) >> 16))).ToArray(),
            _ => MemoryMarshal.AsBytes<float>(values).ToArray(),
        };
        return new TensorProto { DataType = (int)type, RawData = ByteString.CopyFrom(raw) };
    }
}
