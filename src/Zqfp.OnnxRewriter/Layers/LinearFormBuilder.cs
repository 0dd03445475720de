using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>Collects the nodes that say one node in plain products, and the initializers they need.</summary>
/// <param name="node">The node that they replace.</param>
/// <param name="names">Names for new values.</param>
internal sealed class LinearFormBuilder(NodeProto node, FreshNames names)
{
    /// <summary>What stands behind the name of a value that such nodes or initializers are made for.</summary>
    public const string Marker = ".zqfp_form";

    private readonly List<NodeProto> _nodes = [];

    /// <summary>The nodes, in running order.</summary>
    public IReadOnlyList<NodeProto> Nodes => _nodes;

    /// <summary>The initializers that they read beside those of the graph.</summary>
    public List<TensorProto> Initializers { get; } = [];

    /// <summary>What the last node makes.</summary>
    public string LastValue => _nodes[^1].Output[0];

    /// <summary>The product itself, under the node's own name; <paramref name="op"/> is MatMul or Gemm.</summary>
    public string Product(string op, IEnumerable<string> inputs, params AttributeProto[] attributes) =>
        Named(op, "", inputs, attributes);

    /// <summary>
    /// A product for experts, under the node's own name with <paramref name="part"/> behind it where the node becomes several of them.
    /// </summary>
    public string ExpertProduct(string part, IEnumerable<string> inputs, bool isInputMajor)
    {
        string made = Named(
            OperatorNames.ExpertMatMul, part, inputs, isInputMajor ? [Attributes.Make(OperatorNames.InputMajor, 1)] : []);
        _nodes[^1].Domain = OperatorNames.Domain;
        return made;
    }

    /// <summary>Any other node of ONNX's own operators.</summary>
    public string Apply(string op, IEnumerable<string> inputs, params AttributeProto[] attributes) =>
        Add(op, op.ToLowerInvariant(), inputs, attributes);

    /// <summary>Any other node with several outputs.</summary>
    public string[] Apply(string op, int outputs, IEnumerable<string> inputs, params AttributeProto[] attributes)
    {
        string[] made = [.. Enumerable.Range(0, outputs).Select(i => Fresh($"{op.ToLowerInvariant()}_{i}"))];
        _nodes.Add(new NodeProto { OpType = op, Name = made[0], Input = { inputs }, Output = { made }, Attribute = { attributes } });
        return made;
    }

    /// <summary>A constant vector of integers.</summary>
    public string Integers(params long[] values) => Integers([values.Length], values);

    /// <summary>A constant of integers of the shape <paramref name="dims"/>.</summary>
    public string Integers(long[] dims, long[] values)
    {
        TensorProto tensor = new()
        {
            Name = Fresh("integers"),
            DataType = (int)DataType.Int64,
            Dims = { dims },
            RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<long>(values)),
        };
        Initializers.Add(tensor);
        return tensor.Name;
    }

    /// <summary>Exchanges dimensions.</summary>
    public string Transpose(string value, params long[] order) => Add("Transpose", "transposed", [value], Attributes.Make("perm", order));

    /// <summary>Exchanges the last two of <paramref name="rank"/> dimensions.</summary>
    public string TransposeLast(string value, int rank) =>
        Transpose(value, [.. Enumerable.Range(0, rank - 2).Select(i => (long)i), rank - 1, rank - 2]);

    /// <summary>Gives a value the shape <paramref name="dims"/>: 0 keeps a dimension, -1 stands for what is left.</summary>
    public string Reshape(string value, params long[] dims)
    {
        return Add("Reshape", "reshaped", [value, Integers(dims)]);
    }

    /// <summary>Multiplies with a number; nothing where that is 1.</summary>
    public string Scale(string value, float factor, DataType type) =>
        factor == 1 ? value : Add("Mul", "scaled", [value, Number(factor, type)]);

    /// <summary>A constant number.</summary>
    public string Number(float factor, DataType type)
    {
        TensorProto scalar = new() { Name = Fresh("factor"), DataType = (int)type };
        switch (type)
        {
            case DataType.Double:
                scalar.DoubleData.Add(factor);
                break;
            case DataType.Float16:
                scalar.Int32Data.Add(BitConverter.HalfToUInt16Bits((Half)factor));
                break;
            case DataType.Bfloat16:
                scalar.Int32Data.Add((int)(BitConverter.SingleToUInt32Bits(factor) >> 16));
                break;
            default:
                scalar.FloatData.Add(factor);
                break;
        }

        Initializers.Add(scalar);
        return scalar.Name;
    }

    /// <summary>Adds two values.</summary>
    public string Sum(string value, string other) => Add("Add", "sum", [value, other]);

    /// <summary>An initializer with the numbers of another, of the shape <paramref name="dims"/>.</summary>
    public string Reshaped(TensorProto tensor, params long[] dims)
    {
        TensorProto copy = tensor.Clone();
        copy.Name = Fresh("constant");
        copy.Dims.Clear();
        copy.Dims.AddRange(dims);
        Initializers.Add(copy);
        return copy.Name;
    }

    /// <summary>An initializer with the bytes of another, read as another type and shape.</summary>
    public string Retyped(TensorProto tensor, DataType type, params long[] dims)
    {
        TensorProto copy = tensor.Clone();
        copy.Name = names.Make($"{tensor.Name}{Marker}");
        copy.DataType = (int)type;
        copy.Dims.Clear();
        copy.Dims.AddRange(dims);
        Initializers.Add(copy);
        return copy.Name;
    }

    /// <summary>An initializer whose bytes are all the same.</summary>
    public string Filled(DataType type, byte value, params long[] dims)
    {
        byte[] bytes = new byte[TensorTypes.ByteLength(type, dims.Aggregate(1L, (product, dim) => product * dim))];
        bytes.AsSpan().Fill(value);
        TensorProto tensor = new()
        {
            Name = Fresh("filled"),
            DataType = (int)type,
            Dims = { dims },
            RawData = UnsafeByteOperations.UnsafeWrap(bytes),
        };
        Initializers.Add(tensor);
        return tensor.Name;
    }

    /// <summary>Lets the last node that was added make the output of the node that is replaced.</summary>
    public LinearFormBuilder End()
    {
        _nodes[^1].Output[0] = node.Output[0];
        return this;
    }

    private string Named(string op, string part, IEnumerable<string> inputs, params AttributeProto[] attributes)
    {
        string made = Add(op, "product", inputs, attributes);
        NodeProto product = _nodes[^1];
        product.Name = (node.Name.Length > 0 ? node.Name : node.Output[0]) + part;
        product.MetadataProps.AddRange(node.MetadataProps);
        return made;
    }

    private string Add(string op, string part, IEnumerable<string> inputs, params AttributeProto[] attributes)
    {
        string output = Fresh(part);
        _nodes.Add(new NodeProto { OpType = op, Name = output, Input = { inputs }, Output = { output }, Attribute = { attributes } });
        return output;
    }

    private string Fresh(string part) => names.Make($"{node.Output[0]}{Marker}.{part}");
}
