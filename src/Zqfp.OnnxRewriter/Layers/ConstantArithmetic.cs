using System.Numerics.Tensors;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Numbers computed from those of other constants: joined ones, scaled ones, sums with the product of two thin factors. Computed in float32
/// and rounded to the element type, as an operator of that type rounds its result.
/// </summary>
/// <param name="Node">The node.</param>
/// <param name="Inputs">What it reads.</param>
/// <param name="Axis">The dimension that is joined.</param>
/// <param name="Dims">The shape.</param>
internal sealed record ConstantArithmetic(NodeProto Node, IReadOnlyList<ConstantValue> Inputs, int Axis, IReadOnlyList<long> Dims)
    : ConstantValue(Dims, Inputs[0].Type)
{
    public override IEnumerable<string> Leaves => Inputs.SelectMany(input => input.Leaves);

    public override IEnumerable<NodeProto> Products =>
        [.. Inputs.SelectMany(input => input.Products), .. Node.OpType == "MatMul" ? [Node] : (NodeProto[])[]];

    /// <summary>Whether <paramref name="node"/> is one of these operators.</summary>
    public static bool IsKnown(NodeProto node) => (node.OpType, node.Input.Count) switch
    {
        ("Concat", > 0) => true,
        ("Mul" or "Add" or "Sub" or "Div" or "MatMul", 2) => true,
        ("Neg" or "Sqrt" or "Reciprocal", 1) => true,
        _ => false,
    };

    /// <summary>What the node makes of its inputs, or null where their shapes or types do not fit.</summary>
    public static ConstantArithmetic? Of(NodeProto node, ConstantValue[] inputs)
    {
        if (inputs.Any(input => input.Type != inputs[0].Type || !(TensorTypes.IsFloat(input.Type) || node.OpType == "Concat")))
        {
            return null;
        }

        long axis = Attributes.Int(node, "axis", 0);
        axis = axis < 0 ? axis + inputs[0].Dims.Count : axis;
        return Shape(node.OpType, inputs, axis) is { } dims ? new ConstantArithmetic(node, inputs, (int)axis, dims) : null;
    }

    /// <remarks>What is joined along the first dimension, such as experts to a stack, lies one behind the other.</remarks>
    public override bool IsReadInParts => Node.OpType == "Concat" && Axis == 0 && Inputs.All(input => input.IsReadInParts);

    public override float[] Numbers(OnnxFile file, long first, int count)
    {
        if (!IsReadInParts)
        {
            float[] all = All(file);
            return first == 0 && count == all.Length ? all : all.AsSpan((int)first, count).ToArray();
        }

        float[] numbers = new float[count];
        long start = 0;
        foreach (ConstantValue input in Inputs)
        {
            long from = Math.Max(first, start);
            long to = Math.Min(first + count, start + input.Count);
            if (from < to)
            {
                input.Numbers(file, from - start, (int)(to - from)).CopyTo(numbers.AsSpan((int)(from - first)));
            }

            start += input.Count;
        }

        RoundedConstant.Round(numbers, Type);
        return numbers;
    }

    private float[] All(OnnxFile file)
    {
        float[] numbers = Node.OpType switch
        {
            "Concat" => Joined(file),
            "MatMul" => Product(file),
            _ => ElementWise(file),
        };
        RoundedConstant.Round(numbers, Type);
        return numbers;
    }

    private static IReadOnlyList<long>? Shape(string op, ConstantValue[] inputs, long axis)
    {
        IReadOnlyList<long> first = inputs[0].Dims;
        switch (op)
        {
            case "Concat":
                bool fits = axis >= 0 && axis < first.Count && inputs.All(input => input.Dims.Count == first.Count
                    && input.Dims.Where((_, i) => i != axis).SequenceEqual(first.Where((_, i) => i != axis)));
                return fits ? [.. first.Select((dim, i) => i == axis ? inputs.Sum(input => input.Dims[i]) : dim)] : null;
            case "MatMul":
                return first is [var rows, var inner] && inputs[1].Dims is [var same, var columns] && same == inner
                    ? [rows, columns]
                    : null;
            default:
                return inputs.Skip(1).Aggregate((IReadOnlyList<long>?)first, (shape, input) => Broadcast(shape, input.Dims));
        }
    }

    private static long[]? Broadcast(IReadOnlyList<long>? one, IReadOnlyList<long> other)
    {
        if (one is null)
        {
            return null;
        }

        int rank = Math.Max(one.Count, other.Count);
        long[] shape = new long[rank];
        for (int i = 0; i < rank; i++)
        {
            long a = i < rank - one.Count ? 1 : one[i - rank + one.Count];
            long b = i < rank - other.Count ? 1 : other[i - rank + other.Count];
            if (a != b && a != 1 && b != 1)
            {
                return null;
            }

            shape[i] = Math.Max(a, b);
        }

        return shape;
    }

    private float[] Joined(OnnxFile file)
    {
        float[] joined = new float[Count];
        int outer = (int)Dims.Take(Axis).Aggregate(1L, (product, dim) => product * dim);
        int width = joined.Length / outer;
        int first = 0;
        foreach (ConstantValue input in Inputs)
        {
            float[] part = input.Numbers(file);
            int length = part.Length / outer;
            for (int row = 0; row < outer; row++)
            {
                part.AsSpan(row * length, length).CopyTo(joined.AsSpan((row * width) + first));
            }

            first += length;
        }

        return joined;
    }

    private float[] Product(OnnxFile file)
    {
        (int rows, int inner, int columns) = ((int)Dims[0], (int)Inputs[0].Dims[1], (int)Dims[1]);
        (float[] left, float[] right) = (Inputs[0].Numbers(file), Inputs[1].Numbers(file));
        float[] product = new float[Count];
        for (int row = 0; row < rows; row++)
        {
            Span<float> sums = product.AsSpan(row * columns, columns);
            for (int i = 0; i < inner; i++)
            {
                TensorPrimitives.MultiplyAdd(right.AsSpan(i * columns, columns), left[(row * inner) + i], sums, sums);
            }
        }

        return product;
    }

    private float[] ElementWise(OnnxFile file)
    {
        float[] numbers = ConstantView.Broadcast(Inputs[0], Dims)!.Numbers(file);
        float[] other = Inputs.Count > 1 ? ConstantView.Broadcast(Inputs[1], Dims)!.Numbers(file) : [];
        switch (Node.OpType)
        {
            case "Mul":
                TensorPrimitives.Multiply(numbers, other, numbers);
                break;
            case "Add":
                TensorPrimitives.Add(numbers, other, numbers);
                break;
            case "Sub":
                TensorPrimitives.Subtract(numbers, other, numbers);
                break;
            case "Div":
                TensorPrimitives.Divide(numbers, other, numbers);
                break;
            case "Neg":
                TensorPrimitives.Negate<float>(numbers, numbers);
                break;
            case "Sqrt":
                TensorPrimitives.Sqrt<float>(numbers, numbers);
                break;
            default:
                TensorPrimitives.Reciprocal<float>(numbers, numbers);
                break;
        }

        return numbers;
    }
}
