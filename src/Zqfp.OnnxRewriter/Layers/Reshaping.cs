using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>The shapes that Reshape and its kin give.</summary>
internal static class Reshaping
{
    /// <summary>
    /// The dimensions of a tensor of <paramref name="dims"/> once reshaped, or null where the shape is unknown or does not fit.
    /// </summary>
    /// <param name="dims">The dimensions before.</param>
    /// <param name="shape">The constant that Reshape reads: -1 stands for what is left, 0 for the dimension before.</param>
    /// <param name="allowZero">Whether 0 stands for itself.</param>
    public static IReadOnlyList<long>? Resolve(IReadOnlyList<long> dims, TensorProto shape, bool allowZero)
    {
        if (IntTensor.Read(shape) is not { } wanted)
        {
            return null;
        }

        for (int i = 0; i < wanted.Length; i++)
        {
            if (wanted[i] == 0 && !allowZero)
            {
                wanted[i] = i < dims.Count ? dims[i] : -2;
            }
        }

        Int128 total = Product(dims);
        int free = Array.IndexOf(wanted, -1);
        if (free >= 0)
        {
            wanted[free] = 1;
            Int128 others = Product(wanted);
            wanted[free] = others > 0 && total % others == 0 ? (long)(total / others) : -2;
        }

        return wanted.All(dim => dim >= 0) && Product(wanted) == total ? wanted : null;
    }

    /// <summary>
    /// What Squeeze, Unsqueeze or Flatten make of <paramref name="dims"/>, or null where the axes are unknown or do not fit.
    /// </summary>
    public static IReadOnlyList<long>? Resolve(GraphIndex graph, NodeProto node, IReadOnlyList<long> dims)
    {
        if (node.OpType == "Flatten")
        {
            long axis = Attributes.Int(node, "axis", 1);
            axis = axis < 0 ? axis + dims.Count : axis;
            return axis >= 0 && axis <= dims.Count && Product(dims) <= long.MaxValue
                ? [(long)Product([.. dims.Take((int)axis)]), (long)Product([.. dims.Skip((int)axis)])]
                : null;
        }

        bool isGiven = node.Input.Count > 1 && node.Input[1].Length > 0;
        long[]? axes = isGiven
            ? graph.Constant(node.Input[1]) is { } tensor ? IntTensor.Read(tensor) : null
            : Attributes.Ints(node, "axes")?.ToArray();
        if (axes is null)
        {
            return node.OpType == "Squeeze" && !isGiven ? [.. dims.Where(dim => dim != 1)] : null;
        }

        int rank = node.OpType == "Squeeze" ? dims.Count : dims.Count + axes.Length;
        HashSet<long> places = [.. axes.Select(axis => axis < 0 ? axis + rank : axis)];
        if (places.Count != axes.Length || places.Any(axis => axis < 0 || axis >= rank))
        {
            return null;
        }

        if (node.OpType == "Squeeze")
        {
            return places.All(axis => dims[(int)axis] == 1) ? [.. dims.Where((_, i) => !places.Contains(i))] : null;
        }

        Queue<long> rest = new(dims);
        return [.. Enumerable.Range(0, rank).Select(i => places.Contains(i) ? 1 : rest.Dequeue())];
    }

    private static Int128 Product(IReadOnlyList<long> dims) => dims.Aggregate(Int128.One, (product, dim) => product * dim);
}
