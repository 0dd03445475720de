using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// The operators of domain <c>zqfp</c> in terms of standard ones, which is also their definition in <c>docs/operators.md</c>.
/// </summary>
/// <remarks>
/// The rounding is spelled Div, Cast, Cast, Mul rather than QuantizeLinear, DequantizeLinear: ONNX Runtime's fusions around
/// FP8 QDQ pairs fail to load.
/// </remarks>
internal static class FunctionBodies
{
    /// <summary>Dimensions of the weights: output, input.</summary>
    private const int MatrixDims = 2;

    /// <summary>The default operator set of the bodies.</summary>
    public const long Opset = 21;

    /// <summary>Every operator's body.</summary>
    /// <param name="rotated">
    /// Whether any token is rotated. The body of QuantizeTokens then has that attribute and calls RotateTokens; otherwise it is
    /// simpler, and RotateTokens is left out.
    /// </param>
    public static IReadOnlyList<FunctionProto> All(bool rotated) =>
    [
        .. rotated ? [RotateTokens()] : (FunctionProto[])[],
        QuantizeTokens(rotated),
        Product(OperatorNames.MatMulW4A8, ["Xq", "Sx"], isFourBit: true, hasExponents: true),
        Product(OperatorNames.MatMulW4A8Scaled, ["Xq", "Sx"], isFourBit: true, hasExponents: false),
        Product(OperatorNames.MatMulW4A16, ["X"], isFourBit: true, hasExponents: true),
        Product(OperatorNames.MatMulW8A8, ["Xq", "Sx"], isFourBit: false, hasExponents: true),
        Product(OperatorNames.MatMulW8A16, ["X"], isFourBit: false, hasExponents: true),
    ];

    /// <summary>
    /// Every block times the Hadamard matrix of its order; an attribute of 0 makes blocks of one value, which stay as they are.
    /// </summary>
    private static FunctionProto RotateTokens()
    {
        FunctionProto body = Function(OperatorNames.RotateTokens, ["X"], ["Y"]);
        body.AttributeProto.Add(Attributes.Make(OperatorNames.Rotation, 0));
        body.Node.AddRange(
        [
            Cast("X", "x", DataType.Float),
            new NodeProto { OpType = "Constant", Output = { "rotation" }, Attribute = { Reference("value_int", OperatorNames.Rotation) } },
            Constant("one", DataType.Int64, [], [1L]),
            Node("Max", ["rotation", "one"], "block"),
            Constant("start", DataType.Int64, [1], [0L]),
            Node("Unsqueeze", ["block", "start"], "order"),

            // The matrix of order 256 is the Kronecker product of that of order 16 with itself; that of a smaller order is its corner.
            Constant("sylvester", DataType.Float, [16, 16], StandardRotation.Hadamard(16, 1)),
            Constant("left", DataType.Int64, [4], [16L, 1L, 16L, 1L]),
            Constant("right", DataType.Int64, [4], [1L, 16L, 1L, 16L]),
            Node("Reshape", ["sylvester", "left"], "outer"),
            Node("Reshape", ["sylvester", "right"], "inner"),
            Node("Mul", ["outer", "inner"], "kronecker"),
            Constant("square", DataType.Int64, [2], [256L, 256L]),
            Node("Reshape", ["kronecker", "square"], "largest"),
            Node("Concat", ["start", "start"], "corner", Attributes.Make("axis", 0)),
            Node("Concat", ["order", "order"], "opposite", Attributes.Make("axis", 0)),
            Node("Slice", ["largest", "corner", "opposite"], "signs"),
            Cast("block", "square_of_root", DataType.Float),
            Node("Sqrt", ["square_of_root"], "root"),
            Node("Div", ["signs", "root"], "matrix"),

            Constant("all", DataType.Int64, [1], [-1L]),
            Node("Concat", ["all", "order"], "blocks_shape", Attributes.Make("axis", 0)),
            Node("Reshape", ["x", "blocks_shape"], "blocks"),
            Node("MatMul", ["blocks", "matrix"], "products"),
            Node("Shape", ["x"], "shape"),
            Node("Reshape", ["products", "shape"], "Y", Attributes.Make("allowzero", 1)),
        ]);
        return body;
    }

    private static FunctionProto QuantizeTokens(bool rotated)
    {
        FunctionProto body = Function(OperatorNames.QuantizeTokens, ["X"], ["Xq", "Sx"]);
        if (rotated)
        {
            body.AttributeProto.Add(Attributes.Make(OperatorNames.Rotation, 0));
            body.OpsetImport.Add(new OperatorSetIdProto { Domain = OperatorNames.Domain, Version = OperatorNames.DomainVersion });
        }

        body.Node.AddRange(
        [
            rotated ? Rotate("X", "x") : Cast("X", "x", DataType.Float),
            Node("Abs", ["x"], "magnitudes"),
            Constant("last", DataType.Int64, [1], [-1L]),
            Node("ReduceMax", ["magnitudes", "last"], "largest"),
            Constant("max", DataType.Float, [], [448f]),
            Node("Div", ["largest", "max"], "scale"),
            Constant("zero", DataType.Float, [], [0f]),
            Constant("one", DataType.Float, [], [1f]),
            Node("Equal", ["scale", "zero"], "empty"),
            Node("Where", ["empty", "one", "scale"], "Sx"),
            Node("Div", ["x", "Sx"], "scaled"),
            Cast("scaled", "Xq", DataType.Float8E4M3Fn),
        ]);
        return body;
    }

    private static FunctionProto Product(string name, string[] activation, bool isFourBit, bool hasExponents)
    {
        string[] weight = hasExponents ? ["W", "E", "S"] : ["W", "S"];
        FunctionProto body = Function(name, [.. activation, .. weight, "bias", "A", "B"], ["Y"]);
        body.Attribute.AddRange(["group_size", "dtype"]);
        body.Node.Add(Cast(activation[0], "values", DataType.Float));
        if (activation.Length > 1)
        {
            body.Node.Add(Node("Mul", ["values", "Sx"], "x"));
        }

        string x = activation.Length > 1 ? "x" : "values";
        body.Node.AddRange([.. Decode(isFourBit), .. GroupScales(hasExponents, MatrixDims), .. Spread(MatrixDims)]);
        body.Node.AddRange(
        [
            Node("Mul", ["decoded", "spread"], "w"),
            Node("Transpose", ["w"], "w_t"),
            Node("MatMul", [x, "w_t"], "product"),
            Cast("A", "a", DataType.Float),
            Node("Transpose", ["a"], "a_t"),
            Node("MatMul", [x, "a_t"], "inner"),
            Cast("B", "b", DataType.Float),
            Node("Transpose", ["b"], "b_t"),
            Node("MatMul", ["inner", "b_t"], "correction"),
            Node("Add", ["product", "correction"], "corrected"),
            Cast("bias", "added", DataType.Float),
            Node("Add", ["corrected", "added"], "y"),
            CastToAttribute("y", "Y", "dtype"),
        ]);
        return body;
    }

    /// <summary>Codes W to the values they stand for: <c>decoded</c> [N, K].</summary>
    internal static NodeProto[] Decode(bool isFourBit) => isFourBit
        ?
        [
            Constant("table", DataType.Float, [16], NumberFormat.E2M1.Values.ToArray()),
            Cast("W", "index", DataType.Int32),
            Node("Gather", ["table", "index"], "decoded"),
        ]
        : [Cast("W", "decoded", DataType.Float)];

    /// <summary>The scale of each group: <c>scales</c>, [N, groups] or, of experts, [E, N, groups].</summary>
    /// <param name="hasExponents">Whether groups have exponents under the scales of rows.</param>
    /// <param name="dims">Dimensions of the weights, the inputs last.</param>
    internal static NodeProto[] GroupScales(bool hasExponents, int dims) => hasExponents
        ?
        [
            Cast("E", "k", DataType.Float),
            Node("Neg", ["k"], "minus_k"),
            Constant("two", DataType.Float, [], [2f]),
            Node("Pow", ["two", "minus_k"], "ratio"),
            Constant("column", DataType.Int64, [1], [dims - 1L]),
            Node("Unsqueeze", ["S", "column"], "row_scale"),
            Node("Mul", ["row_scale", "ratio"], "scales"),
        ]
        : [Node("Identity", ["S"], "scales")];

    /// <summary>
    /// Each group's scale repeated for its columns, the last group cut to the row's end: <c>spread</c>, shaped as the weights.
    /// </summary>
    /// <param name="dims">Dimensions of the weights, the inputs last.</param>
    internal static NodeProto[] Spread(int dims) =>
    [
        Constant("behind", DataType.Int64, [1], [(long)dims]),
        Node("Unsqueeze", ["scales", "behind"], $"scales_{dims + 1}d"),
        new NodeProto { OpType = "Constant", Output = { "group_size_scalar" }, Attribute = { Reference("value_int", "group_size") } },
        Constant("start", DataType.Int64, [1], [0L]),
        Node("Unsqueeze", ["group_size_scalar", "start"], "group"),
        Constant("ones", DataType.Int64, [dims], [.. Enumerable.Repeat(1L, dims)]),
        Node("Concat", ["ones", "group"], "repeat", Attributes.Make("axis", 0)),
        Node("Expand", [$"scales_{dims + 1}d", "repeat"], "repeated"),
        Constant("flat", DataType.Int64, [dims], [.. Enumerable.Repeat(0L, dims - 1), -1L]),
        Node("Reshape", ["repeated", "flat"], "padded"),
        Node("Shape", ["decoded"], "columns", Attributes.Make("start", dims - 1)),
        Constant("axis", DataType.Int64, [1], [dims - 1L]),
        Node("Slice", ["padded", "start", "columns", "axis"], "spread"),
    ];

    internal static FunctionProto Function(string name, string[] inputs, string[] outputs) => new()
    {
        Name = name,
        Domain = OperatorNames.Domain,
        Input = { inputs },
        Output = { outputs },
        OpsetImport = { new OperatorSetIdProto { Domain = "", Version = Opset } },
    };

    internal static NodeProto Node(string op, string[] inputs, string output, params AttributeProto[] attributes) =>
        new() { OpType = op, Input = { inputs }, Output = { output }, Attribute = { attributes } };

    internal static NodeProto Cast(string input, string output, DataType type) =>
        Node("Cast", [input], output, Attributes.Make("to", (long)type));

    /// <summary>The body of RotateTokens, in a body that has its attribute.</summary>
    private static NodeProto Rotate(string input, string output) => new()
    {
        OpType = OperatorNames.RotateTokens,
        Domain = OperatorNames.Domain,
        Input = { input },
        Output = { output },
        Attribute = { Reference(OperatorNames.Rotation, OperatorNames.Rotation) },
    };

    internal static NodeProto CastToAttribute(string input, string output, string attribute) =>
        Node("Cast", [input], output, Reference("to", attribute));

    /// <summary>An integer attribute that takes its value from one of the function's.</summary>
    internal static AttributeProto Reference(string name, string attribute) =>
        new() { Name = name, RefAttrName = attribute, Type = AttributeProto.Types.AttributeType.Int };

    internal static NodeProto Constant<T>(string output, DataType type, long[] dims, T[] values)
        where T : unmanaged
    {
        var tensor = new TensorProto
        {
            DataType = (int)type,
            Dims = { dims },
            RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<T>(values)),
        };
        return Node(
            "Constant", [], output, new AttributeProto { Name = "value", T = tensor, Type = AttributeProto.Types.AttributeType.Tensor });
    }
}
