using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter.Tests;

/// <summary>Writes small models for tests.</summary>
internal sealed class GraphBuilder
{
    public ModelProto Model { get; } = new()
    {
        IrVersion = 10,
        Graph = new GraphProto { Name = "test" },
        OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 21 } },
    };

    public GraphProto Graph => Model.Graph;

    public GraphBuilder Input(string name, params long[] dims) => Declare(Graph.Input, name, dims);

    public GraphBuilder Output(string name, params long[] dims) => Declare(Graph.Output, name, dims);

    public GraphBuilder Weight(string name, long[] dims, float[]? values = null, DataType type = DataType.Float)
    {
        values ??= [.. Enumerable.Range(0, (int)dims.Aggregate(1L, (a, b) => a * b)).Select(i => (i % 7) - 3f)];
        byte[] bytes = type == DataType.Float16
            ? MemoryMarshal.AsBytes<Half>(Array.ConvertAll(values, value => (Half)value)).ToArray()
            : MemoryMarshal.AsBytes<float>(values).ToArray();
        Graph.Initializer.Add(new TensorProto { Name = name, DataType = (int)type, Dims = { dims }, RawData = ByteString.CopyFrom(bytes) });
        return this;
    }

    public GraphBuilder Raw(string name, DataType type, long[] dims, params byte[] bytes)
    {
        Graph.Initializer.Add(new TensorProto { Name = name, DataType = (int)type, Dims = { dims }, RawData = ByteString.CopyFrom(bytes) });
        return this;
    }

    public GraphBuilder Shape(string name, params long[] dims) => Raw(
        name, DataType.Int64, [dims.Length], MemoryMarshal.AsBytes<long>(dims).ToArray());

    public GraphBuilder Node(string op, string[] inputs, string output, params AttributeProto[] attributes)
    {
        Graph.Node.Add(
            new NodeProto { OpType = op, Name = "n_" + output, Input = { inputs }, Output = { output }, Attribute = { attributes } });
        return this;
    }

    /// <summary>Gives the last node more outputs.</summary>
    public GraphBuilder Also(params string[] outputs)
    {
        Graph.Node[^1].Output.AddRange(outputs);
        return this;
    }

    public static AttributeProto Int(string name, long value) => new()
    {
        Name = name,
        I = value,
        Type = AttributeProto.Types.AttributeType.Int,
    };

    public static AttributeProto Ints(string name, params long[] values) =>
        new() { Name = name, Ints = { values }, Type = AttributeProto.Types.AttributeType.Ints };

    /// <summary>A two-layer network: x -> q, k (same input) -> add -> o -> head -> logits, with a tied embedding.</summary>
    public static GraphBuilder Decoder() => new GraphBuilder()
        .Input("ids", 1, 4)
        .Output("logits", 1, 4, 10)
        .Weight("embedding", [10, 8])
        .Weight("q", [8, 6])
        .Weight("k", [8, 6])
        .Weight("o", [8, 6])
        .Weight("o_bias", [8])
        .Node("Gather", ["embedding", "ids"], "x")
        .Node("MatMul", ["x", "q"], "xq")
        .Node("MatMul", ["x", "k"], "xk")
        .Node("Add", ["xq", "xk"], "sum")
        .Node("Transpose", ["o"], "o_t", Ints("perm", 1, 0))
        .Node("MatMul", ["sum", "o_t"], "product")
        .Node("Add", ["product", "o_bias"], "attended")
        .Node("Add", ["x", "attended"], "residual")
        .Node("Transpose", ["embedding"], "head", Ints("perm", 1, 0))
        .Node("MatMul", ["residual", "head"], "logits");

    private GraphBuilder Declare(ICollection<ValueInfoProto> values, string name, long[] dims)
    {
        var type = new TypeProto.Types.Tensor
        {
            ElemType = (int)(name == "ids" ? DataType.Int64 : DataType.Float),
            Shape = new TensorShapeProto(),
        };
        type.Shape.Dim.AddRange(dims.Select(dim => new TensorShapeProto.Types.Dimension { DimValue = dim }));
        values.Add(new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = type } });
        return this;
    }
}
