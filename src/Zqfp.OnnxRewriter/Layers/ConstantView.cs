using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// The numbers of another constant in other places: what Transpose, Slice, Split, Gather, Expand, Reshape and its kin, Identity and Cast
/// make.
/// </summary>
/// <param name="Source">The other constant.</param>
/// <param name="First">Where the first element lies in it.</param>
/// <param name="Places">For each dimension, what each index adds to that.</param>
/// <param name="Type">The element type.</param>
internal sealed record ConstantView(ConstantValue Source, long First, IReadOnlyList<long[]> Places, DataType Type)
    : ConstantValue([.. Places.Select(axis => (long)axis.Length)], Type)
{
    public override IEnumerable<string> Leaves => Source.Leaves;

    public override IEnumerable<NodeProto> Products => Source.Products;

    /// <summary>Whether <paramref name="node"/> may make a view of its first input.</summary>
    public static bool IsKnown(NodeProto node) =>
        node.Input.Count > 0 && node.OpType is "Transpose" or "Slice" or "Split" or "Gather" or "Expand" or "Reshape" or "Squeeze"
            or "Unsqueeze" or "Flatten" or "Identity" or "Cast";

    /// <summary>One output of a node, or null where its other inputs are not constant or do not fit.</summary>
    public static ConstantValue? Of(GraphIndex graph, NodeProto node, int output, ConstantValue input)
    {
        ConstantView plain = Whole(input, input.Dims);
        return node.OpType switch
        {
            "Identity" => input,
            "Cast" => Cast(input, (DataType)Attributes.Int(node, "to", 0)),
            "Transpose" => plain.Transposed(Attributes.Ints(node, "perm")),
            "Slice" => plain.Sliced(graph, node),
            "Split" => plain.Part(graph, node, output),
            "Gather" => plain.Picked(graph, node),
            "Expand" => Integers(graph, node, 1) is { } shape ? plain.ExpandedTo(shape) : null,
            "Reshape" => node.Input.Count > 1 && graph.Constant(node.Input[1]) is { } wanted
                && Reshaping.Resolve(input.Dims, wanted, Attributes.Int(node, "allowzero", 0) != 0) is { } dims
                    ? Whole(input, dims)
                    : null,
            _ => Reshaping.Resolve(graph, node, input.Dims) is { } dims ? Whole(input, dims) : null,
        };
    }

    /// <summary>A constant repeated to the shape that an operator with broadcasting gives; null where it does not fit.</summary>
    public static ConstantView? Broadcast(ConstantValue value, IReadOnlyList<long> shape) =>
        Whole(value, value.Dims).ExpandedTo(shape) is { } view && view.Dims.SequenceEqual(shape) ? view : null;

    public override bool IsReadInParts => Source.IsReadInParts;

    /// <remarks>
    /// What is read of the source is what lies between the first and the last of its numbers that are wanted; of rows that lie far apart
    /// each by itself, where the source can be read so.
    /// </remarks>
    public override float[] Numbers(OnnxFile file, long first, int count)
    {
        const int Sparse = 8;
        float[] numbers = new float[count];
        int width = Places.Count == 0 ? 1 : Places[^1].Length;
        long[] within = Places.Count == 0 ? [0] : Places[^1];
        (long low, long high) = (within.Min(), within.Max());
        long firstRow = first / width;
        long rows = ((first + count - 1) / width) - firstRow + 1;
        long[] starts = count == 0 ? [] : [.. Enumerable.Range(0, checked((int)rows)).Select(row => RowStart(firstRow + row))];
        if (count == 0)
        {
            return numbers;
        }

        (long least, long most) = (starts.Min() + low, starts.Max() + high);
        if ((most - least < (long)Sparse * count || !Source.IsReadInParts) && most - least < Array.MaxLength)
        {
            float[] source = Source.Numbers(file, least, (int)(most - least + 1));
            Fill((row, index) => source[starts[row] + within[index] - least]);
            return numbers;
        }

        float[] ofRow = [];
        int known = -1;
        Fill((row, index) =>
        {
            if (row != known)
            {
                (ofRow, known) = (Source.Numbers(file, starts[row] + low, checked((int)(high - low + 1))), row);
            }

            return ofRow[within[index] - low];
        });
        return numbers;

        void Fill(Func<int, int, float> number)
        {
            for (int i = 0; i < count; i++)
            {
                (long row, long index) = Math.DivRem(first + i, width);
                numbers[i] = number((int)(row - firstRow), (int)index);
            }
        }
    }

    /// <summary>Where a row of the last dimension begins in the source, but for what its own places add.</summary>
    private long RowStart(long row)
    {
        long start = First;
        for (int axis = Places.Count - 2; axis >= 0; axis--)
        {
            (row, long index) = Math.DivRem(row, Places[axis].Length);
            start += Places[axis][index];
        }

        return start;
    }

    /// <summary>All of <paramref name="source"/>, as if it had the shape <paramref name="dims"/>.</summary>
    private static ConstantView Whole(ConstantValue source, IReadOnlyList<long> dims)
    {
        long[][] places = new long[dims.Count][];
        long stride = 1;
        for (int axis = dims.Count - 1; axis >= 0; axis--)
        {
            long step = stride;
            places[axis] = [.. Enumerable.Range(0, (int)dims[axis]).Select(i => i * step)];
            stride *= dims[axis];
        }

        return new ConstantView(source, 0, places, source.Type);
    }

    /// <summary>Between floating-point types: numbers are rounded as the operator does.</summary>
    private static RoundedConstant? Cast(ConstantValue input, DataType type) =>
        type is DataType.Float or DataType.Float16 or DataType.Bfloat16 ? new RoundedConstant(input, type) : null;

    private ConstantView? Transposed(IReadOnlyList<long>? order)
    {
        order ??= [.. Enumerable.Range(0, Places.Count).Reverse().Select(axis => (long)axis)];
        return order.Order().SequenceEqual(Enumerable.Range(0, Places.Count).Select(axis => (long)axis))
            ? this with { Places = [.. order.Select(axis => Places[(int)axis])], Dims = [.. order.Select(axis => Dims[(int)axis])] }
            : null;
    }

    private ConstantView? Sliced(GraphIndex graph, NodeProto node)
    {
        // Inputs since opset 10, attributes before.
        bool isGiven = node.Input.Count > 1;
        long[]? starts = isGiven ? Integers(graph, node, 1) : Attributes.Ints(node, "starts")?.ToArray();
        long[]? ends = isGiven ? Integers(graph, node, 2) : Attributes.Ints(node, "ends")?.ToArray();
        long[]? axes = isGiven && Has(node, 3) ? Integers(graph, node, 3)
            : !isGiven && Attributes.Ints(node, "axes") is { } named ? [.. named]
            : [.. Enumerable.Range(0, starts?.Length ?? 0).Select(axis => (long)axis)];
        long[]? steps = Has(node, 4) ? Integers(graph, node, 4) : [.. Enumerable.Repeat(1L, starts?.Length ?? 0)];
        if (starts is null || ends?.Length != starts.Length || axes?.Length != starts.Length || steps?.Length != starts.Length)
        {
            return null;
        }

        long[][] places = [.. Places];
        for (int i = 0; i < starts.Length; i++)
        {
            if (Axis(axes[i], Places.Count) is not { } axis || steps[i] == 0)
            {
                return null;
            }

            places[axis] = [.. Range(starts[i], ends[i], steps[i], Places[axis].Length).Select(index => Places[axis][index])];
        }

        return With(places);
    }

    /// <summary>The indices that Slice takes of a dimension: both ends count from behind where negative, and are bounded.</summary>
    private static IEnumerable<long> Range(long start, long end, long step, long length)
    {
        start = Math.Clamp(start < 0 ? start + length : start, 0, step < 0 ? length - 1 : length);
        end = Math.Clamp(end < 0 ? end + length : end, step < 0 ? -1 : 0, length);
        for (Int128 index = start; step < 0 ? index > end : index < end; index += step)
        {
            yield return (long)index;
        }
    }

    private ConstantView? Part(GraphIndex graph, NodeProto node, int output)
    {
        if (Axis(Attributes.Int(node, "axis", 0), Places.Count) is not { } axis)
        {
            return null;
        }

        long length = Places[axis].Length;
        long each = (length + node.Output.Count - 1) / node.Output.Count;
        long[]? parts = Has(node, 1) ? Integers(graph, node, 1)
            : Attributes.Ints(node, "split") is { } given ? [.. given]
            : [.. Enumerable.Range(0, node.Output.Count).Select(i => Math.Clamp(length - (i * each), 0, each))];
        if (parts?.Length != node.Output.Count || parts.Any(part => part < 0 || part > length) || parts.Sum() != length)
        {
            return null;
        }

        long[][] places = [.. Places];
        places[axis] = [.. Places[axis].Skip((int)parts.Take(output).Sum()).Take((int)parts[output])];
        return With(places);
    }

    /// <summary>Gather with a constant index, or with a vector of them.</summary>
    private ConstantView? Picked(GraphIndex graph, NodeProto node)
    {
        if (Axis(Attributes.Int(node, "axis", 0), Places.Count) is not { } axis || node.Input.Count < 2
            || graph.Constant(node.Input[1]) is not { Dims.Count: < 2 } tensor || IntTensor.Read(tensor) is not { } indices)
        {
            return null;
        }

        long length = Places[axis].Length;
        indices = [.. indices.Select(index => index < 0 ? index + length : index)];
        if (indices.Any(index => index < 0 || index >= length))
        {
            return null;
        }

        long[][] places = [.. Places];
        places[axis] = [.. indices.Select(index => Places[axis][index])];
        ConstantView rows = With(places);
        return tensor.Dims.Count > 0 ? rows : rows with
        {
            First = rows.First + places[axis][0],
            Places = [.. places.Where((_, i) => i != axis)],
            Dims = [.. rows.Dims.Where((_, i) => i != axis)],
        };
    }

    /// <summary>Repeats dimensions of 1 to those of <paramref name="shape"/>, which may have more of them, in front.</summary>
    private ConstantView? ExpandedTo(IReadOnlyList<long> shape)
    {
        int more = Math.Max(0, shape.Count - Places.Count);
        long[][] places = [.. Enumerable.Repeat<long[]>([0], more), .. Places];
        for (int i = 0; i < shape.Count; i++)
        {
            int axis = places.Length - shape.Count + i;
            if (places[axis].Length == 1 && shape[i] is > 1 and <= int.MaxValue)
            {
                places[axis] = [.. Enumerable.Repeat(places[axis][0], (int)shape[i])];
            }
            else if (shape[i] != 1 && shape[i] != places[axis].Length)
            {
                return null;
            }
        }

        return With(places);
    }

    private ConstantView With(long[][] places) => this with { Places = places, Dims = [.. places.Select(axis => (long)axis.Length)] };

    private static int? Axis(long axis, int rank) =>
        (axis < 0 ? axis + rank : axis) is >= 0 and var place && place < rank ? (int)place : null;

    private static bool Has(NodeProto node, int input) => node.Input.ElementAtOrDefault(input) is { Length: > 0 };

    private static long[]? Integers(GraphIndex graph, NodeProto node, int input) =>
        Has(node, input) && graph.Constant(node.Input[input]) is { } tensor ? IntTensor.Read(tensor) : null;
}
