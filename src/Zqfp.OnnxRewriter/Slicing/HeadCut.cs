using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Where a model can be cut before its head, so that the head runs on a few tokens at a time: with a vocabulary of 262,144 the logits of
/// one window of 512 tokens take 512 MiB, and so does each value behind them.
/// </summary>
/// <param name="Hidden">The only computed value that the head reads.</param>
/// <param name="Logits">What the head makes of it.</param>
/// <param name="Nodes">The head: the product with the vocabulary's weight, and what stands behind it. Each token is computed alone.</param>
internal sealed record HeadCut(string Hidden, string Logits, IReadOnlyList<NodeProto> Nodes)
{
    /// <summary>Whether it has none of our operators, whose inputs have types of their own.</summary>
    public bool IsPlain => Nodes.All(node => node.Domain != OperatorNames.Domain);

    /// <summary>Operators that compute each element alone, or each row as their definition says.</summary>
    private static readonly HashSet<string> Elementwise = ["Add", "Sub", "Mul", "Div", "Neg", "Tanh", "Cast", "Identity", "Clip"];

    /// <summary>Products whose first input has a row for each token.</summary>
    private static readonly HashSet<string> Products = ["MatMul", "Gemm", "FusedMatMul", "MatMulNBits"];

    /// <summary>The cut before the head of <paramref name="logits"/>; null where what stands there is not known to be a head.</summary>
    public static HeadCut? Find(GraphIndex graph, string logits)
    {
        HashSet<string> open = [logits];
        List<NodeProto> nodes = [];
        bool hasProduct = false;
        while (!hasProduct || open.Count > 1)
        {
            if (open.Select(graph.Producer).MaxBy(node => node is null ? int.MaxValue : graph.Position(node)) is not { } node
                || !IsOfTokensAlone(graph, node))
            {
                return null;
            }

            nodes.Add(node);
            hasProduct |= ProductNode.Is(node);
            open.ExceptWith(node.Output);
            open.UnionWith(GraphIndex.ReadBy(node).Where(input => !IsConstant(graph, input)));
        }

        nodes.Reverse();
        return open.SingleOrDefault() is { } hidden && graph.Producer(hidden) is not null ? new HeadCut(hidden, logits, nodes) : null;
    }

    private static bool IsOfTokensAlone(GraphIndex graph, NodeProto node) => node switch
    {
        { Domain: OperatorNames.Domain } => true,
        { OpType: var type } when Products.Contains(type) => node.Input.Count > 1 && !IsConstant(graph, node.Input[0])
            && IsConstant(graph, node.Input[1]) && Attributes.Int(node, "transA", 0) == 0,
        { Domain.Length: 0 } => Elementwise.Contains(node.OpType) && node.Input.All(input => IsScalarOrRow(graph, input)),
        _ => false,
    };

    /// <summary>A constant that is added to every token alike.</summary>
    private static bool IsScalarOrRow(GraphIndex graph, string input) =>
        graph.Constant(input) is not { } constant || constant.Dims.SkipLast(1).All(size => size == 1);

    /// <summary>Whether the value is a constant, or is computed from constants alone.</summary>
    private static bool IsConstant(GraphIndex graph, string value) =>
        graph.Constant(value) is not null
        || (graph.Producer(value) is { OpType: "Transpose" or "Cast" or "Identity" or "DequantizeLinear" or "Reshape" } node
            && GraphIndex.ReadBy(node).All(input => IsConstant(graph, input)));
}
