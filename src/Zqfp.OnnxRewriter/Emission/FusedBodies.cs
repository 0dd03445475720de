using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.FunctionBodies;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// The operators that quantize what they make, in terms of standard ones and of QuantizeTokens. Without A and Z: a body has all its inputs,
/// and the profile <see cref="EmissionProfile.Portable"/> leaves low-rank factors with the products.
/// </summary>
internal static class FusedBodies
{
    /// <summary>What stands in a node for a value that is added and is not there; operators take it for none.</summary>
    public const string Zero = "zqfp.zero";

    /// <summary>What stands in a node for a factor that is not there.</summary>
    public const string One = "zqfp.one";

    /// <summary>The constants of these names.</summary>
    public static IEnumerable<(string Name, TensorData Data)> Constants =>
        [(Zero, TensorData.Of(DataType.Float, [1], [0f])), (One, TensorData.Of(DataType.Float, [1], [1f]))];

    /// <summary>Every operator's body.</summary>
    /// <param name="rotated">Whether any token is rotated.</param>
    public static IReadOnlyList<FunctionProto> All(bool rotated) => [Norm(rotated), Gate(rotated), Activate(rotated)];

    /// <summary>Nodes get all inputs, constants where there is none, and all outputs: ONNX Runtime wants as many as the body has.</summary>
    public static List<NodeProto> GiveAll(IEnumerable<NodeProto> nodes) =>
    [
        .. nodes.Select(node => node.Domain != OperatorNames.Domain ? node : node.OpType switch
        {
            OperatorNames.NormQuantizeTokens => With(node, 4, Zero),
            OperatorNames.ActivateQuantizeTokens => With(node, 2, One),
            _ => node,
        }),
    ];

    private static NodeProto With(NodeProto node, int count, string constant)
    {
        NodeProto given = node.Clone();
        given.Input.Clear();
        if (given.OpType == OperatorNames.NormQuantizeTokens && given.Output.Count == 2)
        {
            given.Output.Add($"{given.Output[0]}.sum");
        }

        for (int i = 0; i < count; i++)
        {
            given.Input.Add(i < node.Input.Count && node.Input[i].Length > 0 ? node.Input[i] : constant);
        }

        return given;
    }

    private static FunctionProto Norm(bool rotated)
    {
        FunctionProto body = Quantizing(OperatorNames.NormQuantizeTokens, ["X", "gain", "skip", "shift"], ["Xq", "Sx", "sum"], rotated);
        body.AttributeProto.Add(Attributes.Make(OperatorNames.Epsilon, 1e-5f));
        body.AttributeProto.Add(Attributes.Make(OperatorNames.Centered, 0));
        body.Node.AddRange(
        [
            Node("CastLike", ["skip", "X"], "addend"),
            Node("Add", ["X", "addend"], "sum"),
            Cast("sum", "s", DataType.Float),
            Constant("last", DataType.Int64, [1], [-1L]),
            Node("ReduceMean", ["s", "last"], "average"),
            Value("value_int", OperatorNames.Centered, "centered", AttributeProto.Types.AttributeType.Int),
            Cast("centered", "less", DataType.Float),
            Node("Mul", ["average", "less"], "mean"),
            Node("Sub", ["s", "mean"], "deviation"),
            Node("Mul", ["deviation", "deviation"], "square"),
            Node("ReduceMean", ["square", "last"], "variance"),
            Value("value_float", OperatorNames.Epsilon, "epsilon", AttributeProto.Types.AttributeType.Float),
            Node("Add", ["variance", "epsilon"], "positive"),
            Node("Sqrt", ["positive"], "root"),
            Node("Div", ["deviation", "root"], "unit"),
            Cast("gain", "factor", DataType.Float),
            Node("Mul", ["unit", "factor"], "scaled"),
            Cast("shift", "added", DataType.Float),
            Node("Add", ["scaled", "added"], "normal"),
        ]);
        return Close(body, "normal", "X", rotated);
    }

    private static FunctionProto Gate(bool rotated)
    {
        FunctionProto body = Quantizing(OperatorNames.GateQuantizeTokens, ["gate", "up"], ["Xq", "Sx"], rotated);
        body.Node.AddRange(
        [
            Cast("gate", "x", DataType.Float),
            Node("Sigmoid", ["x"], "open"),
            Node("Mul", ["x", "open"], "active"),
            Cast("up", "factor", DataType.Float),
            Node("Mul", ["active", "factor"], "gated"),
        ]);
        return Close(body, "gated", "gate", rotated);
    }

    /// <summary>All but GELU by erf and ReLU are x times the sigmoid of x (slope + cubic x^2); the attribute picks the numbers.</summary>
    private static FunctionProto Activate(bool rotated)
    {
        FunctionProto body = Quantizing(OperatorNames.ActivateQuantizeTokens, ["X", "up"], ["Xq", "Sx"], rotated);
        body.Attribute.Add(OperatorNames.Activation);
        body.Node.AddRange(
        [
            Cast("X", "x", DataType.Float),
            Value("value_int", OperatorNames.Activation, "activation", AttributeProto.Types.AttributeType.Int),
            Constant("slopes", DataType.Float, [5], [1f, 0f, 1.5957691216f, 1.702f, 0f]),
            Constant("cubics", DataType.Float, [5], [0f, 0f, 0.0713548163f, 0f, 0f]),
            Node("Gather", ["slopes", "activation"], "slope"),
            Node("Gather", ["cubics", "activation"], "cubic"),
            Node("Mul", ["x", "x"], "square"),
            Node("Mul", ["square", "cubic"], "bent"),
            Node("Add", ["bent", "slope"], "steepness"),
            Node("Mul", ["x", "steepness"], "exponent"),
            Node("Sigmoid", ["exponent"], "open"),
            Node("Mul", ["x", "open"], "logistic"),

            Constant("inverse_root", DataType.Float, [], [0.70710678118f]),
            Node("Mul", ["x", "inverse_root"], "scaled"),
            Node("Erf", ["scaled"], "erf"),
            Constant("one", DataType.Float, [], [1f]),
            Node("Add", ["erf", "one"], "above"),
            Constant("half", DataType.Float, [], [0.5f]),
            Node("Mul", ["x", "half"], "halved"),
            Node("Mul", ["halved", "above"], "gelu"),
            Node("Relu", ["x"], "relu"),

            Constant("is_gelu", DataType.Int64, [], [(long)TokenActivation.Gelu]),
            Node("Equal", ["activation", "is_gelu"], "by_erf"),
            Constant("is_relu", DataType.Int64, [], [(long)TokenActivation.Relu]),
            Node("Equal", ["activation", "is_relu"], "by_relu"),
            Node("Where", ["by_erf", "gelu", "logistic"], "smooth"),
            Node("Where", ["by_relu", "relu", "smooth"], "active"),
            Cast("up", "factor", DataType.Float),
            Node("Mul", ["active", "factor"], "gated"),
        ]);
        return Close(body, "gated", "X", rotated);
    }

    private static FunctionProto Quantizing(string name, string[] inputs, string[] outputs, bool rotated)
    {
        FunctionProto body = Function(name, inputs, outputs);
        body.OpsetImport.Add(new OperatorSetIdProto { Domain = OperatorNames.Domain, Version = OperatorNames.DomainVersion });
        if (rotated)
        {
            body.AttributeProto.Add(Attributes.Make(OperatorNames.Rotation, 0));
        }

        return body;
    }

    /// <summary>Rounds a float32 value to the type of an input and quantizes it.</summary>
    private static FunctionProto Close(FunctionProto body, string value, string like, bool rotated)
    {
        body.Node.Add(Node("CastLike", [value, like], "y"));
        var quantize = new NodeProto
        {
            OpType = OperatorNames.QuantizeTokens,
            Domain = OperatorNames.Domain,
            Input = { "y" },
            Output = { "Xq", "Sx" },
        };
        if (rotated)
        {
            quantize.Attribute.Add(Reference(OperatorNames.Rotation, OperatorNames.Rotation));
        }

        body.Node.Add(quantize);
        return body;
    }

    private static NodeProto Value(string kind, string attribute, string output, AttributeProto.Types.AttributeType type) => new()
    {
        OpType = "Constant",
        Output = { output },
        Attribute = { new AttributeProto { Name = kind, RefAttrName = attribute, Type = type } },
    };
}
