using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Which input holds the token ids: <c>input_ids</c>, or else the one that can only be it, whatever an exporter named it.
/// </summary>
internal static class TokenIds
{
    /// <summary>The usual name.</summary>
    public const string Name = "input_ids";

    /// <summary>What the names of other inputs of integers have in them.</summary>
    private static readonly string[] OfOthers = ["position", "pos_", "mask", "type", "segment", "past", "cache", "len", "label", "keep"];

    /// <summary>
    /// The input of <paramref name="graph"/>, which is <see cref="Name"/> where no other is certain: of that name is none, and one input of
    /// integers alone, that nothing else is known by, is looked up in the rows of a constant.
    /// </summary>
    public static string Of(GraphIndex graph)
    {
        if (graph.Inputs.Any(input => input.Name == Name))
        {
            return Name;
        }

        string[] candidates = [.. graph.Inputs.Where(CanBe).Select(input => input.Name).Where(name => IsLookedUp(graph, name))];
        return candidates is [var only] ? only : Name;
    }

    /// <summary>Whether <paramref name="value"/> is <paramref name="ids"/>, perhaps in another type or shape.</summary>
    public static bool AreIn(GraphIndex graph, string value, string ids)
    {
        while (value != ids)
        {
            if (graph.Producer(value) is not
                {
                    OpType: "Cast" or "Reshape" or "Identity" or "Unsqueeze" or "Squeeze"
                or "Flatten" or "Clip" or "Where"
                } node)
            {
                return false;
            }

            value = node.Input[node.OpType == "Where" ? 1 : 0];
        }

        return true;
    }

    private static bool CanBe(ValueInfoProto input) =>
        input.Type?.TensorType is { } tensor && (DataType)tensor.ElemType is DataType.Int64 or DataType.Int32
        && (tensor.Shape is null || tensor.Shape.Dim.Count is 1 or 2)
        && !OfOthers.Any(part => input.Name.Contains(part, StringComparison.OrdinalIgnoreCase));

    private static bool IsLookedUp(GraphIndex graph, string input) =>
        Reachability.Descendants(graph, graph.Consumers(input)).Any(node => node is { OpType: "Gather", Domain.Length: 0, Input.Count: 2 }
            && Attributes.Int(node, "axis", 0) is 0 or -2 && AreIn(graph, node.Input[1], input)
            && ConstantWeight.TraceShape(graph, node.Input[0]) is not null);
}
