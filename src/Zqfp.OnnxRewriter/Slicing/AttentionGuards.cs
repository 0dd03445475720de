using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Exporters guard attention against rows that are masked as a whole, whose softmax is NaN: p V with p = Where(IsNaN(s), 0, s). A row of a
/// softmax is NaN all over or nowhere, so that its first element decides and the row of the product may be replaced as well:
/// Where(IsNaN(s[.., :1]), 0, s V). That is the same numbers for a fraction of the time, as s has a row of weights for each token and head.
/// </summary>
internal static class AttentionGuards
{
    private const string Mark = ".zqfp.guard";

    /// <summary>Moves the guards behind the products.</summary>
    /// <param name="nodes">The nodes of a part of the graph.</param>
    /// <param name="isZero">Whether a value is a constant zero.</param>
    public static List<NodeProto> Move(FusedNodes nodes, Func<string, bool> isZero)
    {
        foreach (NodeProto product in nodes.Nodes.Where(node => node is { OpType: "MatMul", Domain.Length: 0 }))
        {
            if (nodes.Producer(product.Input[0], "Where") is { } guard && nodes.Reads(guard.Output[0]) == 1 && isZero(guard.Input[1])
                && nodes.Producer(guard.Input[0], "IsNaN") is { } test && nodes.Reads(test.Output[0]) == 1
                && test.Input[0] == guard.Input[2] && nodes.Reads(test.Input[0]) == 2
                && nodes.Producer(test.Input[0], "Softmax") is { } softmax && Attributes.Int(softmax, "axis", 0) == -1)
            {
                nodes.Replace(product, [.. Guarded(product, guard, test, softmax.Output[0])], [guard, test]);
            }
        }

        return nodes.Apply();
    }

    private static IEnumerable<NodeProto> Guarded(NodeProto product, NodeProto guard, NodeProto test, string softmax)
    {
        string output = product.Output[0];
        string from = output + Mark + ".from", to = output + Mark + ".to", axis = output + Mark + ".axis";
        string first = output + Mark + ".first", plain = output + Mark + ".plain";
        yield return Constant(from, 0);
        yield return Constant(to, 1);
        yield return Constant(axis, -1);
        yield return new NodeProto { OpType = "Slice", Input = { softmax, from, to, axis }, Output = { first } };
        NodeProto decides = test.Clone();
        decides.Input[0] = first;
        yield return decides;
        NodeProto multiplies = product.Clone();
        multiplies.Input[0] = softmax;
        multiplies.Output[0] = plain;
        yield return multiplies;
        NodeProto replaces = guard.Clone();
        replaces.Input[2] = plain;
        replaces.Output[0] = output;
        yield return replaces;
    }

    private static NodeProto Constant(string name, long value) => FunctionBodies.Constant(name, DataType.Int64, [1], [value]);
}
