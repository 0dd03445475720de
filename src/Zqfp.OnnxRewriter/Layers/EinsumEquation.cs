using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>The labels of an Einsum of two inputs. An ellipsis is the one character <see cref="Ellipsis"/>.</summary>
/// <param name="Left">Labels of the first input.</param>
/// <param name="Right">Labels of the second input.</param>
/// <param name="Output">Labels of the output.</param>
internal sealed record EinsumEquation(string Left, string Right, string Output)
{
    public const char Ellipsis = '.';

    /// <summary>Reads the node's equation, or returns null where it is none of two inputs.</summary>
    public static EinsumEquation? Of(NodeProto node)
    {
        string equation = (Attributes.Text(node, "equation") ?? string.Empty)
            .Replace(" ", string.Empty, StringComparison.Ordinal)
            .Replace("...", ".", StringComparison.Ordinal);
        string[] sides = equation.Split("->");
        if (node.Input.Count != 2 || sides.Length > 2 || sides[0].Split(',') is not [var left, var right])
        {
            return null;
        }

        string output = sides.Length == 2 ? sides[1] : Implicit(left + right);
        bool isPlain = new[] { left, right, output }.All(labels => labels.All(c => char.IsAsciiLetter(c) || c == Ellipsis)
            && labels.Distinct().Count() == labels.Length);
        return isPlain ? new EinsumEquation(left, right, output) : null;
    }

    /// <summary>Without an output of its own, an equation gives the labels that stand once, in the alphabet's order.</summary>
    private static string Implicit(string labels) =>
        (labels.Contains(Ellipsis, StringComparison.Ordinal) ? "." : string.Empty)
        + string.Concat(labels.Where(label => label != Ellipsis && labels.Count(other => other == label) == 1).Order());
}
