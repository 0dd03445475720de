using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// What nodes of the operators that decoders are made of must have, by the specifications of ONNX and of ONNX Runtime's own operators:
/// inputs, an output, and attributes of the right type. Operators that are not known here are not judged.
/// </summary>
internal static class NodeForm
{
    private const string Microsoft = "com.microsoft";

    private static readonly Dictionary<string, int> StandardInputs = Counts(
    [
        (1, "Abs ArgMax ArgMin Cast Ceil Clip Concat ConcatFromSequence ConstantOfShape Cos Dropout DynamicQuantizeLinear Einsum Erf Exp "
            + "Flatten Floor Gelu HardSigmoid HardSwish Identity If IsInf IsNaN LeakyRelu Log LogSoftmax Max Mean Min Neg NonZero Not "
            + "Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape Round Scan Selu SequenceConstruct "
            + "SequenceLength Shape Sigmoid Sign Sin Size Slice Softmax Softplus Split SplitToSequence Sqrt Squeeze Sum Tanh TopK "
            + "Transpose Trilu Unsqueeze"),
        (2, "Add And BitShift CastLike Conv ConvInteger CumSum DequantizeLinear Div Equal Expand Gather GatherElements GatherND Gemm "
            + "Greater GreaterOrEqual LayerNormalization Less LessOrEqual MatMul MatMulInteger Mod Mul Or Pow PRelu QuantizeLinear "
            + "RMSNormalization SequenceAt SequenceInsert SimplifiedLayerNormalization Sub Tile Xor"),
        (3, "Attention OneHot Range RotaryEmbedding ScatterElements ScatterND Where"),
        (8, "QLinearConv QLinearMatMul"),
    ]);

    private static readonly Dictionary<string, int> MicrosoftInputs = Counts(
    [
        (1, "FastGelu Gelu GroupQueryAttention MultiHeadAttention QuickGelu"),
        (2, "Attention BiasGelu FusedMatMul SkipLayerNormalization SkipSimplifiedLayerNormalization"),
        (3, "DynamicQuantizeMatMul GatherBlockQuantized MatMulBnb4 MatMulNBits MoE QMoE RotaryEmbedding"),
        (4, "MatMulIntegerToFloat"),
    ]);

    /// <summary>Operators that were given inputs in place of attributes: the operator set that did, and the inputs since.</summary>
    private static readonly Dictionary<string, (long Since, int Inputs)> Later = new(StringComparer.Ordinal)
    {
        ["Pad"] = (11, 2),
        ["Reshape"] = (5, 2),
        ["Slice"] = (10, 3),
        ["TopK"] = (10, 2),
        ["Unsqueeze"] = (13, 2),
    };

    /// <summary>Operators of any number of inputs: none of them can be left out.</summary>
    private static readonly HashSet<string> Variadic = ["Concat", "Einsum", "Max", "Mean", "Min", "SequenceConstruct", "Sum"];

    private static readonly Dictionary<string, AttributeType> Types = new(StringComparer.Ordinal)
    {
        ["allowzero"] = AttributeType.Int,
        ["alpha"] = AttributeType.Float,
        ["axes"] = AttributeType.Ints,
        ["axis"] = AttributeType.Int,
        ["batch_dims"] = AttributeType.Int,
        ["beta"] = AttributeType.Float,
        ["bits"] = AttributeType.Int,
        ["block_size"] = AttributeType.Int,
        ["body"] = AttributeType.Graph,
        ["dilations"] = AttributeType.Ints,
        ["else_branch"] = AttributeType.Graph,
        ["end"] = AttributeType.Int,
        ["epsilon"] = AttributeType.Float,
        ["equation"] = AttributeType.String,
        ["group"] = AttributeType.Int,
        ["K"] = AttributeType.Int,
        ["keepdims"] = AttributeType.Int,
        ["kernel_shape"] = AttributeType.Ints,
        ["kv_num_heads"] = AttributeType.Int,
        ["N"] = AttributeType.Int,
        ["num_heads"] = AttributeType.Int,
        ["output_dtype"] = AttributeType.Int,
        ["pads"] = AttributeType.Ints,
        ["perm"] = AttributeType.Ints,
        ["sparse_value"] = AttributeType.SparseTensor,
        ["start"] = AttributeType.Int,
        ["strides"] = AttributeType.Ints,
        ["then_branch"] = AttributeType.Graph,
        ["to"] = AttributeType.Int,
        ["transA"] = AttributeType.Int,
        ["transB"] = AttributeType.Int,
        ["value"] = AttributeType.Tensor,
        ["value_float"] = AttributeType.Float,
        ["value_floats"] = AttributeType.Floats,
        ["value_int"] = AttributeType.Int,
        ["value_ints"] = AttributeType.Ints,
    };

    private static readonly Dictionary<string, string[]> Required = new(StringComparer.Ordinal)
    {
        ["Cast"] = ["to"],
        ["Concat"] = ["axis"],
        ["Einsum"] = ["equation"],
        ["GroupQueryAttention"] = ["num_heads", "kv_num_heads"],
        ["If"] = ["then_branch", "else_branch"],
        ["Loop"] = ["body"],
        ["MatMulBnb4"] = ["K", "N", "block_size"],
        ["MatMulNBits"] = ["K", "N"],
        ["Scan"] = ["body"],
    };

    /// <summary>Checks nodes, and those in their bodies.</summary>
    /// <param name="nodes">The nodes.</param>
    /// <param name="opset">The version of the default operator set.</param>
    /// <param name="file">The file to name in errors.</param>
    /// <exception cref="ZqfpException">ZQFP1021: a node is not as its operator asks for.</exception>
    public static void Require(IEnumerable<NodeProto> nodes, long opset, string file)
    {
        foreach (NodeProto node in nodes)
        {
            if (Fault(node, opset) is { } fault)
            {
                string it = GraphIndex.Describe(node);
                throw new ZqfpException(
                    "ZQFP1021", $"{char.ToUpperInvariant(it[0])}{it[1..]} {fault}. The model is damaged: export it again.", file);
            }

            foreach (GraphProto body in Subgraphs.Of(node))
            {
                Require(body.Node, opset, file);
            }
        }
    }

    /// <summary>What is wrong with the node, as the end of a sentence about it; null where nothing is known to be.</summary>
    private static string? Fault(NodeProto node, long opset)
    {
        bool isConstant = node is { Domain: "", OpType: "Constant" };
        int inputs = 0;
        bool isKnown = isConstant || (node.Domain switch
        {
            "" => StandardInputs,
            Microsoft => MicrosoftInputs,
            _ => null,
        })?.TryGetValue(node.OpType, out inputs) == true;
        if (!isKnown)
        {
            return null;
        }

        if (node.Domain.Length == 0 && Later.TryGetValue(node.OpType, out (long Since, int Inputs) later) && opset >= later.Since)
        {
            inputs = later.Inputs;
        }

        int given = node.Input.TakeWhile(input => input.Length > 0).Count();
        if (given < (Variadic.Contains(node.OpType) ? Math.Max(inputs, node.Input.Count) : inputs))
        {
            return given < node.Input.Count
                ? $"has no input {given}, which {node.OpType} needs"
                : $"has {Plural(given)}, and {node.OpType} needs {inputs}";
        }

        if (node.Output.All(output => output.Length == 0))
        {
            return "makes nothing";
        }

        string[] required = Required.GetValueOrDefault(node.OpType) ?? [];
        string? missing = required.FirstOrDefault(name => node.Attribute.All(attribute => attribute.Name != name));
        if (missing is not null
            || (isConstant && !node.Attribute.Any(attribute => attribute.Name.Contains("value", StringComparison.Ordinal))))
        {
            return $"has no attribute '{missing ?? "value"}'";
        }

        return node.Attribute.Where(attribute => attribute.RefAttrName.Length == 0).Select(Fault)
            .FirstOrDefault(fault => fault is not null);
    }

    private static string? Fault(AttributeProto attribute)
    {
        // Files of the first version of the format leave the type out.
        if (Types.TryGetValue(attribute.Name, out AttributeType type) && attribute.Type != type
            && attribute.Type != AttributeType.Undefined)
        {
            return $"has the attribute '{attribute.Name}' as {attribute.Type}, which has to be {type}";
        }

        bool isEmpty = attribute.Type switch
        {
            AttributeType.Tensor => attribute.T is null,
            AttributeType.Graph => attribute.G is null,
            AttributeType.SparseTensor => attribute.SparseTensor is null,
            _ => false,
        };
        if (isEmpty)
        {
            return $"has an attribute '{attribute.Name}' without content";
        }

        bool isOrder = attribute.Name != "perm"
            || attribute.Ints.Order().SequenceEqual(Enumerable.Range(0, attribute.Ints.Count).Select(i => (long)i));
        return !isOrder
            ? $"exchanges dimensions by [{string.Join(", ", attribute.Ints)}], which is no order of them"
            : null;
    }

    private static string Plural(int inputs) => inputs == 1 ? "1 input" : $"{inputs} inputs";

    private static Dictionary<string, int> Counts((int Inputs, string Operators)[] groups) =>
        groups.SelectMany(group => group.Operators.Split(' ').Select(name => (Name: name, group.Inputs)))
            .ToDictionary(entry => entry.Name, entry => entry.Inputs, StringComparer.Ordinal);
}
