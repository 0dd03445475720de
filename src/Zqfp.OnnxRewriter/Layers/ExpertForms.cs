using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Says the products of a mixture of experts, whose weights are one constant [E, N, K] or [E, K, N], as <c>ExpertMatMul</c> of domain
/// <c>zqfp</c>: rows, the expert of each, and the constant. The forms are a product of each row with a matrix that Gather or GatherND
/// picks for it, with the weight on either side; a product of all experts at once; both as Einsum; and the operators MoE and QMoE.
/// </summary>
internal static class ExpertForms
{
    /// <summary>The nodes that say <paramref name="node"/> so, or null where it is no such product.</summary>
    public static LinearFormBuilder? Spell(GraphIndex graph, NodeProto node, LinearFormBuilder form) => (node.Domain, node.OpType) switch
    {
        ("", "MatMul") => Picked(graph, node, form) ?? AllAtOnce(graph, node, form),
        ("", "Einsum") => ExpertEinsum.Spell(graph, node, form),
        (OperatorNames.MicrosoftDomain, "MoE" or "QMoE") => MoeExpansion.Spell(graph, node, form),
        _ => null,
    };

    /// <summary>
    /// The number of experts where <paramref name="value"/> is a stack of their matrices, perhaps with dimensions of 1 in front; else null.
    /// </summary>
    public static int? ExpertsOf(GraphIndex graph, string value) =>
        ConstantWeight.TraceNumbers(graph, value) is { Dims: { Count: > 2 } dims } && dims[^3] is > 1 and < int.MaxValue
            && dims.SkipLast(3).All(dim => dim == 1)
                ? (int)dims[^3]
                : null;

    /// <summary>The expert of each row where rows [.., E, T, K] go to all experts in order.</summary>
    /// <param name="form">The nodes.</param>
    /// <param name="experts">E.</param>
    /// <param name="x">The rows.</param>
    /// <param name="rank">How many dimensions they have.</param>
    /// <param name="behind">Dimensions between E and K.</param>
    public static string InOrder(LinearFormBuilder form, int experts, string x, int rank, int behind)
    {
        string leading = form.Apply("Slice", [form.Apply("Shape", [x]), form.Integers(0), form.Integers(rank - 1)]);
        string numbers = form.Integers(
            [experts, .. Enumerable.Repeat(1L, behind)], [.. Enumerable.Range(0, experts).Select(expert => (long)expert)]);
        return form.Apply("Expand", [numbers, leading]);
    }

    /// <summary>Brings rows and indices to the dimensions that they have together.</summary>
    public static (string X, string Index) Broadcast(LinearFormBuilder form, string x, string index)
    {
        string leading = form.Apply("Slice", [form.Apply("Shape", [x]), form.Integers(0), form.Integers(-1)]);
        string all = form.Apply("Expand", [index, leading]);
        string shape = form.Apply("Concat", [form.Apply("Shape", [all]), form.Integers(1)], Attributes.Make("axis", 0));
        return (form.Apply("Expand", [x, shape]), all);
    }

    /// <summary>Each row with the matrix that is picked for it: [.., N, K] x [.., K, 1], or [.., 1, K] x [.., K, N].</summary>
    private static LinearFormBuilder? Picked(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        for (int side = 0; side < 2; side++)
        {
            string rows = node.Input[1 - side];
            int single = side == 0 ? -1 : -2;
            if (ExpertPick.Find(graph, node.Input[side]) is not { } pick || !IsOne(graph, rows, single))
            {
                continue;
            }

            string axis = form.Integers(single);
            string x = form.Apply("Squeeze", [rows, axis]);
            string index = pick.SpellIndex(graph, form);
            if (!HaveSameLeading(graph, rows, pick))
            {
                (x, index) = Broadcast(form, x, index);
            }

            bool isInputMajor = (side == 1) != pick.IsTransposed;
            string product = form.ExpertProduct("", [x, index, pick.SpellStack(form)], isInputMajor);
            form.Apply("Unsqueeze", [product, axis]);
            return form.End();
        }

        return null;
    }

    /// <summary>All rows with the matrix of every expert: [.., E or 1, T, K] x [E, K, N].</summary>
    private static LinearFormBuilder? AllAtOnce(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        bool isRight = ExpertsOf(graph, node.Input[1]) is not null;
        (string stack, string rows) = isRight ? (node.Input[1], node.Input[0]) : (node.Input[0], node.Input[1]);
        if (ExpertsOf(graph, stack) is not { } experts || ExpertsOf(graph, rows) is not null
            || graph.RankOf(rows) is not { } rank || rank < 2)
        {
            return null;
        }

        IReadOnlyList<long> dims = ConstantWeight.TraceNumbers(graph, stack)!.Dims;
        rank = Math.Max(rank, dims.Count);
        string x = form.Apply("Expand", [rows, form.Integers([.. Enumerable.Repeat(1L, dims.Count - 3), experts, 1, 1])]);
        x = isRight ? x : form.TransposeLast(x, rank);
        string index = InOrder(form, experts, x, rank, behind: 1);
        string product = form.ExpertProduct("", [x, index, dims.Count == 3 ? stack : AsStack(graph, stack, form)], isRight);
        if (!isRight)
        {
            form.TransposeLast(product, rank);
        }

        return form.End();
    }

    /// <summary>A stack without the dimensions of 1 in front of it.</summary>
    private static string AsStack(GraphIndex graph, string stack, LinearFormBuilder form)
    {
        ConstantWeight weight = ConstantWeight.TraceNumbers(graph, stack)!;
        long[] dims = [.. weight.Dims.TakeLast(3)];
        return form.Reshape(stack, weight.Transposed ? [dims[0], dims[2], dims[1]] : dims);
    }

    /// <summary>As <see cref="IsSaidOne"/>, also of what is cast.</summary>
    private static bool IsOne(GraphIndex graph, string value, int fromEnd)
    {
        const int Deepest = 64;
        for (int depth = 0; depth < Deepest && Declared(graph, value, fromEnd) is null
            && graph.Producer(value) is { OpType: "Cast" or "Identity" } node; depth++)
        {
            value = node.Input[0];
        }

        return IsSaidOne(graph, value, fromEnd);
    }

    /// <summary>Whether a dimension, counted from the end, is declared as 1 or is made so by the node before.</summary>
    public static bool IsSaidOne(GraphIndex graph, string value, int fromEnd)
    {
        if (Declared(graph, value, fromEnd) is { } length)
        {
            return length == 1;
        }

        return graph.Producer(value) switch
        {
            { OpType: "Unsqueeze", Input.Count: > 1 } node => graph.Constant(node.Input[1]) is { } axes
                && IntTensor.Read(axes) is [var axis] && (axis == fromEnd || axis == graph.RankOf(node.Input[0]) + 1 + fromEnd),
            { OpType: "Reshape", Input.Count: > 1 } node => graph.Constant(node.Input[1]) is { } shape
                && IntTensor.Read(shape) is { } wanted && wanted.Length >= -fromEnd && wanted[wanted.Length + fromEnd] == 1,
            _ => false,
        };
    }

    /// <summary>A declared dimension, 0 where it has a name alone; null where none is declared.</summary>
    private static long? Declared(GraphIndex graph, string value, int fromEnd) =>
        graph.TypeOf(value)?.TensorType?.Shape?.Dim is { } dims && dims.Count >= -fromEnd ? dims[dims.Count + fromEnd].DimValue : null;

    /// <summary>Whether rows and indices are declared with the same leading dimensions.</summary>
    private static bool HaveSameLeading(GraphIndex graph, string rows, ExpertPick pick)
    {
        TensorShapeProto? left = graph.TypeOf(rows)?.TensorType?.Shape;
        TensorShapeProto? right = graph.TypeOf(pick.Index)?.TensorType?.Shape;
        return left is not null && right is not null && pick.Leading is null
            && left.Dim.SkipLast(2).Select(Say).SequenceEqual(right.Dim.SkipLast(pick.HasLastDimension ? 1 : 0).Select(Say))
            && left.Dim.SkipLast(2).All(dim => dim.DimValue > 0 || dim.DimParam.Length > 0);

        static string Say(TensorShapeProto.Types.Dimension dim) => dim.HasDimValue ? $"{dim.DimValue}" : $"'{dim.DimParam}'";
    }
}
