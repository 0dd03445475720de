using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Says the products of a mixture of experts, whose weights are one constant [E, N, K] or [E, K, N], as <c>ExpertMatMul</c> of domain
/// <c>zqfp</c>: rows, the expert of each, and the constant. The forms are a product of each row with a matrix that Gather or GatherND
/// picks for it, with the weight on either side; a product of all experts at once; and the operators MoE and QMoE.
/// </summary>
internal static class ExpertForms
{
    /// <summary>The nodes that say <paramref name="node"/> so, or null where it is no such product.</summary>
    public static LinearFormBuilder? Spell(GraphIndex graph, NodeProto node, LinearFormBuilder form) => (node.Domain, node.OpType) switch
    {
        ("", "MatMul") => Picked(graph, node, form) ?? AllAtOnce(graph, node, form),
        (OperatorNames.MicrosoftDomain, "MoE" or "QMoE") => MoeExpansion.Spell(graph, node, form),
        _ => null,
    };

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
            string index = pick.HasLastDimension ? form.Apply("Squeeze", [pick.Index, form.Integers(-1)]) : pick.Index;
            if (graph.TypeOf(pick.Index)?.TensorType?.ElemType != (int)DataType.Int64)
            {
                index = form.Apply("Cast", [index], Attributes.Make("to", (long)DataType.Int64));
            }

            if (!HaveSameLeading(graph, rows, pick))
            {
                (x, index) = Broadcast(form, x, index);
            }

            bool isInputMajor = (side == 1) != pick.IsTransposed;
            string product = form.ExpertProduct("", [x, index, pick.Weight], isInputMajor);
            form.Apply("Unsqueeze", [product, axis]);
            return form.End();
        }

        return null;
    }

    /// <summary>All rows with the matrix of every expert: [.., E or 1, T, K] x [E, K, N].</summary>
    private static LinearFormBuilder? AllAtOnce(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        bool isRight = IsStack(graph, node.Input[1]);
        bool isLeft = !isRight && IsStack(graph, node.Input[0]);
        if (!(isRight || isLeft))
        {
            return null;
        }

        string stack = node.Input[isRight ? 1 : 0];
        string rows = node.Input[isRight ? 0 : 1];
        long experts = ConstantWeight.TraceStack(graph, stack)!.Dims[0];
        if (graph.RankOf(rows) is not { } rank || rank < 2 || ConstantWeight.TraceStack(graph, rows) is not null)
        {
            return null;
        }

        rank = Math.Max(rank, 3);
        string x = form.Apply("Expand", [rows, form.Integers(experts, 1, 1)]);
        x = isLeft ? form.TransposeLast(x, rank) : x;
        string leading = form.Apply("Slice",
            [form.Apply("Shape", [x]), form.Integers(0), form.Integers(rank - 1)]);
        string numbers = form.Integers([experts, 1], [.. Enumerable.Range(0, (int)experts).Select(expert => (long)expert)]);
        string index = form.Apply("Expand", [numbers, leading]);
        string product = form.ExpertProduct("", [x, index, stack], isRight);
        if (isLeft)
        {
            form.TransposeLast(product, rank);
        }

        return form.End();
    }

    /// <summary>Brings rows and indices to the dimensions that they have together.</summary>
    private static (string X, string Index) Broadcast(LinearFormBuilder form, string x, string index)
    {
        string leading = form.Apply("Slice", [form.Apply("Shape", [x]), form.Integers(0), form.Integers(-1)]);
        string all = form.Apply("Expand", [index, leading]);
        string shape = form.Apply("Concat", [form.Apply("Shape", [all]), form.Integers(1)], Attributes.Make("axis", 0));
        return (form.Apply("Expand", [x, shape]), all);
    }

    private static bool IsStack(GraphIndex graph, string value) =>
        ConstantWeight.TraceStack(graph, value) is { Dims: [> 1 and < int.MaxValue, _, _] };

    /// <summary>Whether a dimension, counted from the end, is known to be 1.</summary>
    private static bool IsOne(GraphIndex graph, string value, int fromEnd)
    {
        if (graph.TypeOf(value)?.TensorType?.Shape?.Dim is { } dims && dims.Count >= -fromEnd)
        {
            return dims[dims.Count + fromEnd].DimValue == 1;
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

    /// <summary>Whether rows and indices are declared with the same leading dimensions.</summary>
    private static bool HaveSameLeading(GraphIndex graph, string rows, ExpertPick pick)
    {
        TensorShapeProto? left = graph.TypeOf(rows)?.TensorType?.Shape;
        TensorShapeProto? right = graph.TypeOf(pick.Index)?.TensorType?.Shape;
        return left is not null && right is not null
            && left.Dim.SkipLast(2).Select(Say).SequenceEqual(right.Dim.SkipLast(pick.HasLastDimension ? 1 : 0).Select(Say))
            && left.Dim.SkipLast(2).All(dim => dim.DimValue > 0 || dim.DimParam.Length > 0);

        static string Say(TensorShapeProto.Types.Dimension dim) => dim.HasDimValue ? $"{dim.DimValue}" : $"'{dim.DimParam}'";
    }
}
