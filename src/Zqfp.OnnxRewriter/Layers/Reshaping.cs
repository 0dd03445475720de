using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>The shape that a Reshape gives.</summary>
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

    private static Int128 Product(IReadOnlyList<long> dims) => dims.Aggregate(Int128.One, (product, dim) => product * dim);
}
