using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Evaluation;

/// <summary>
/// Tells how an attention mask of numbers is meant: one that is added to the scores of attention shows a token by 0 and hides it by a large
/// negative number; any other shows it by 1.
/// </summary>
internal static class AdditiveMask
{
    private static readonly HashSet<string> Attentions =
        ["Attention", "MultiHeadAttention", "GroupQueryAttention", "DecoderMaskedMultiHeadAttention", "PackedMultiHeadAttention"];

    /// <summary>Whether the first thing that <paramref name="graph"/> computes with the mask is an addition.</summary>
    public static bool IsIn(GraphIndex graph)
    {
        Stack<string> open = new(
            graph.Inputs.Select(input => input.Name).Where(name => name.Contains("mask", StringComparison.OrdinalIgnoreCase)));
        HashSet<string> seen = new(StringComparer.Ordinal);
        while (open.TryPop(out string? value))
        {
            foreach (NodeProto node in graph.Consumers(value))
            {
                if (node.OpType is "Add" || Attentions.Contains(node.OpType))
                {
                    return true;
                }

                if (node.OpType is "Identity" or "Cast" or "Unsqueeze" or "Squeeze" or "Reshape" or "Expand" or "Slice" or "Gather"
                    or "Transpose" or "Concat" && seen.Add(node.Output[0]))
                {
                    open.Push(node.Output[0]);
                }
            }
        }

        return false;
    }
}
