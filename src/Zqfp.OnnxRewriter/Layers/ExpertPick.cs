using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>A value that holds, for each element of an index, one of the matrices of a constant.</summary>
/// <param name="Weight">The constant, or what Cast, Transpose or DequantizeLinear make of it; its first dimension tells matrices.</param>
/// <param name="Index">The value that says which.</param>
/// <param name="HasLastDimension">Whether the index has a last dimension of 1, as that of GatherND.</param>
/// <param name="IsTransposed">Whether the matrices are transposed after they are picked.</param>
/// <param name="Stack">E, and rows and columns of the matrices before they are transposed.</param>
/// <param name="IsStored">Whether the constant has this shape already.</param>
/// <param name="Leading">The shape the index gets by a Reshape of what is picked, as Reshape reads it; null where it stays.</param>
/// <param name="Casts">Element types that the matrices are cast to after they are picked, one after the other.</param>
internal sealed record ExpertPick(
    string Weight, string Index, bool HasLastDimension, bool IsTransposed, IReadOnlyList<long> Stack, bool IsStored,
    IReadOnlyList<long>? Leading, IReadOnlyList<long> Casts)
{
    /// <summary>The pick that makes <paramref name="value"/>, or null.</summary>
    public static ExpertPick? Find(GraphIndex graph, string value)
    {
        bool isTransposed = false;
        NodeProto? shaping = null;
        List<long> casts = [];
        while (graph.Producer(value) is { Domain.Length: 0 } node)
        {
            switch (node.OpType)
            {
                case "Identity" or "Cast":
                    casts.InsertRange(0, node.OpType == "Cast" ? [Attributes.Int(node, "to", 0)] : []);
                    value = node.Input[0];
                    break;
                case "Transpose" when shaping is null && ExchangesLast(Attributes.Ints(node, "perm")):
                    isTransposed = !isTransposed;
                    value = node.Input[0];
                    break;
                case "Reshape" or "Squeeze" when shaping is null:
                    shaping = node;
                    value = node.Input[0];
                    break;
                case "Gather" when Attributes.Int(node, "axis", 0) == 0:
                    return Of(graph, node, hasLast: false, isTransposed, shaping, casts);
                case "GatherND" when Attributes.Int(node, "batch_dims", 0) == 0 && ExpertForms.IsSaidOne(graph, node.Input[1], -1):
                    return Of(graph, node, hasLast: true, isTransposed, shaping, casts);
                default:
                    return null;
            }
        }

        return null;
    }

    private static ExpertPick? Of(GraphIndex graph, NodeProto node, bool hasLast, bool isTransposed, NodeProto? shaping, List<long> casts)
    {
        if (graph.Constant(node.Input[1]) is not null
            || ConstantWeight.TraceNumbers(graph, node.Input[0]) is not { Dims: { Count: > 1 } stored } weight)
        {
            return null;
        }

        long[] dims = weight.Transposed ? [.. stored.SkipLast(2), stored[^1], stored[^2]] : [.. stored];
        int? rank = graph.RankOf(node.Input[1]) - (hasLast ? 1 : 0);
        (long[]? Stack, long[]? Leading) shaped = shaping switch
        {
            null => (dims, null),
            { OpType: "Reshape" } => Reshaped(graph, shaping, dims),
            _ => (Squeezed(graph, shaping, dims, rank), null),
        };
        return shaped.Stack is { Length: 3 } stack && (!weight.Transposed || shaping is null)
            ? new ExpertPick(node.Input[0], node.Input[1], hasLast, isTransposed, stack, dims.SequenceEqual(stack), shaped.Leading, casts)
            : null;
    }

    /// <summary>The constant as a stack [E, .., ..] of the matrices as the product reads them, but for their transposition.</summary>
    public string SpellStack(LinearFormBuilder form)
    {
        string stack = IsStored ? Weight : form.Reshape(Weight, [.. Stack]);
        return Casts.Aggregate(stack, (value, type) => form.Apply("Cast", [value], Attributes.Make("to", type)));
    }

    /// <summary>The index as int64, with the leading dimensions of the matrices.</summary>
    public string SpellIndex(GraphIndex graph, LinearFormBuilder form)
    {
        string index = HasLastDimension ? form.Apply("Squeeze", [Index, form.Integers(-1)]) : Index;
        index = graph.TypeOf(Index)?.TensorType?.ElemType == (int)TensorProto.Types.DataType.Int64
            ? index
            : form.Apply("Cast", [index], Attributes.Make("to", (long)TensorProto.Types.DataType.Int64));
        return Leading is null ? index : form.Reshape(index, [.. Leading]);
    }

    /// <summary>The matrices where [.., rest of the constant] is reshaped to [.., N, K].</summary>
    private static (long[]? Stack, long[]? Leading) Reshaped(GraphIndex graph, NodeProto node, long[] dims) =>
        node.Input.Count > 1 && graph.Constant(node.Input[1]) is { } shape && Attributes.Int(node, "allowzero", 0) == 0
            && IntTensor.Read(shape) is [.. var leading, > 0 and var rows, > 0 and var columns] && leading.Length > 0
            && (Int128)rows * columns == dims.Skip(1).Aggregate(Int128.One, (size, dim) => size * dim)
                ? ([dims[0], rows, columns], leading)
                : (null, null);

    /// <summary>The matrices where dimensions of 1 of the constant's own are taken away.</summary>
    private static long[]? Squeezed(GraphIndex graph, NodeProto node, long[] dims, int? rank)
    {
        if (rank is not { } before || node.Input.Count < 2 || graph.Constant(node.Input[1]) is not { } tensor
            || IntTensor.Read(tensor) is not { } axes)
        {
            return null;
        }

        int all = before + dims.Length - 1;
        HashSet<long> places = [.. axes.Select(axis => (axis < 0 ? axis + all : axis) - before + 1)];
        return places.All(axis => axis > 0 && axis < dims.Length && dims[axis] == 1)
            ? [.. dims.Where((_, axis) => !places.Contains(axis))]
            : null;
    }

    /// <summary>Whether a permutation exchanges the last two dimensions and nothing else.</summary>
    public static bool ExchangesLast(IReadOnlyList<long>? order) => order is { Count: > 2 }
        && order.SkipLast(2).Select((dim, i) => dim == i).All(isKept => isKept)
        && order[^1] == order.Count - 2 && order[^2] == order.Count - 1;
}
