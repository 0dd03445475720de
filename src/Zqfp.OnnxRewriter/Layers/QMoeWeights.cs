using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Says the weights of <c>com.microsoft.QMoE</c> as DequantizeLinear: integers of 2, 4 or 8 bits with scales by row or block, FP4 in blocks
/// of 32 with powers of two (<c>fp4</c>, <c>wfp4afp8</c>) or of 16 with FP8 scales (<c>nvfp4</c>) times one number an expert, and FP8 with
/// one number an expert.
/// </summary>
internal static class QMoeWeights
{
    private const int FirstZeroPoints = 11, FirstGlobalScale = 15;

    private const int MxBlock = 32, NvBlock = 16;

    /// <summary>
    /// The weights of the product <paramref name="part"/>, or null where they are no constants of the operator's shapes, or are packed for
    /// one execution provider.
    /// </summary>
    public static MoeWeights? Of(GraphIndex graph, NodeProto node, int part, LinearFormBuilder form)
    {
        string kind = Attributes.Text(node, "quant_type") ?? "int";
        long bits = kind == "int" ? Attributes.Int(node, "expert_weight_bits", 4) : kind == "fp8" ? 8 : 4;
        DataType type = CodesOf(kind, bits);
        (string? codes, string? scales, string? bias) = MoeWeights.InputsOf(node, part);
        if (type == DataType.Undefined || Attributes.Int(node, "weights_prepacked", -1) == 1
            || Constant(graph, codes) is not { Dims: [var experts, var rows, var packed] } stored
            || TensorTypes.BitsPerElement((DataType)stored.DataType) != 8)
        {
            return null;
        }

        long columns = packed * 8 / bits;
        string matrices = form.Retyped(stored, type, experts, rows, columns);
        TensorProto? scale = Constant(graph, scales);
        string? numbers = kind switch
        {
            "int" => Integers(),
            "fp8" => Global() is { } each ? Dequantized(each.Name, null, 0, 0) : null,
            _ => Floats(kind == "nvfp4" ? NvBlock : MxBlock),
        };
        if (numbers is null)
        {
            return null;
        }

        DataType made = kind == "int" ? (DataType)scale!.DataType : DataType.Float;
        var computed = (DataType)(graph.TypeOf(node.Input[0])?.TensorType?.ElemType ?? (int)made);
        string value = computed == made ? numbers : form.Apply("Cast", [numbers], Attributes.Make("to", (long)computed));
        return new MoeWeights(value, experts, rows, columns, computed, bias);

        string? Integers()
        {
            if (scale is null || !TensorTypes.IsFloat((DataType)scale.DataType))
            {
                return null;
            }

            long block = scale.Dims is [_, _, > 1] ? Attributes.Int(node, "block_size", 0) : columns;
            long groups = block > 0 && columns % block == 0 ? columns / block : 0;
            bool fits = scale.Dims.Count == 2
                ? scale.Dims.SequenceEqual([experts, rows])
                : scale.Dims.SequenceEqual([experts, rows, groups]);
            return fits && ZeroPoints(groups) is { } zeros
                ? Dequantized(form.Reshaped(scale, experts, rows, groups), zeros, block, axis: 2)
                : null;
        }

        // Without them, half of the range; packed like the codes along the last dimension.
        string? ZeroPoints(long groups)
        {
            int pack = (int)(8 / bits);
            if (MoeWeights.Input(node, FirstZeroPoints + part - 1) is not { } given)
            {
                int zero = 1 << (int)(bits - 1);
                byte filled = (byte)Enumerable.Range(0, pack).Sum(i => zero << (int)(i * bits));
                return form.Filled(type, filled, experts, rows, groups);
            }

            return Constant(graph, given) is { DataType: (int)DataType.Uint8 } zeros && (groups == 1 ? rows : groups) % pack == 0
                && zeros.Dims.Aggregate(1L, (product, dim) => product * dim) * pack == experts * rows * groups
                    ? form.Retyped(zeros, type, experts, rows, groups)
                    : null;
        }

        string? Floats(int block)
        {
            DataType expected = block == MxBlock ? DataType.Float8E8M0 : DataType.Float8E4M3Fn;
            if (part == 3 || scale is null || scale.DataType != (int)expected || columns % block != 0
                || !scale.Dims.SequenceEqual([experts, rows, columns / block]) || Global() is not { } each)
            {
                return null;
            }

            string wide = form.Apply("Cast", [scale.Name], Attributes.Make("to", (long)DataType.Float));
            return Dequantized(form.Apply("Mul", [wide, form.Reshaped(each, experts, 1, 1)]), null, block, axis: 2);
        }

        TensorProto? Global()
        {
            TensorProto? global = part < 3 ? Constant(graph, MoeWeights.Input(node, FirstGlobalScale + part - 1)) : null;
            return global is { DataType: (int)DataType.Float, Dims: [var count] } && count == experts ? global : null;
        }

        string Dequantized(string scaleOf, string? zeros, long block, long axis) => form.Apply(
            "DequantizeLinear", zeros is null ? [matrices, scaleOf] : [matrices, scaleOf, zeros],
            block == 0
                ? [Attributes.Make("axis", axis)]
                : [Attributes.Make("axis", axis), Attributes.Make("block_size", block)]);
    }

    private static DataType CodesOf(string kind, long bits) => (kind, bits) switch
    {
        ("int", 2) => DataType.Uint2,
        ("int", 4) => DataType.Uint4,
        ("int", 8) => DataType.Uint8,
        ("fp4" or "nvfp4" or "wfp4afp8", _) => DataType.Float4E2M1,
        ("fp8", _) => DataType.Float8E4M3Fn,
        _ => DataType.Undefined,
    };

    private static TensorProto? Constant(GraphIndex graph, string? value) => value is null ? null : graph.Initializer(value);
}
