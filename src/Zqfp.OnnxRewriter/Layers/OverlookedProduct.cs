using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>A node that multiplies with a constant and yet is none of the linear layers that were found, and why.</summary>
/// <param name="Name">The node's name, or its output's where it has none.</param>
/// <param name="Operator">Its operator.</param>
/// <param name="Weight">The constant.</param>
/// <param name="Reason">Why it is no linear layer, as the end of a sentence about it.</param>
/// <param name="IsHead">Whether it makes the logits.</param>
internal sealed record OverlookedProduct(string Name, string Operator, TensorProto Weight, string Reason, bool IsHead = false)
{
    /// <summary>The module of the training framework that it was; null where the exporter did not say.</summary>
    public string? Module { get; init; }

    /// <summary>What people call it: the module where that is known, else the name.</summary>
    public string DisplayName => Module ?? Name;

    /// <summary>Whether the options leave it out, so that nobody expects it to be quantized.</summary>
    public bool IsLeftOut { get; init; }

    /// <summary>Every such product of a graph, in the order they run, one entry for each of its weights.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="layers">The linear layers found in it.</param>
    /// <param name="logits">The output that they were found for.</param>
    /// <param name="functions">The model's functions that were not inlined.</param>
    public static IReadOnlyList<OverlookedProduct> Find(
        GraphIndex graph, IReadOnlyList<LinearLayer> layers, string logits, IReadOnlyList<FunctionProto> functions)
    {
        HashSet<NodeProto> taken = new(layers.SelectMany(layer => layer.Nodes), ReferenceEqualityComparer.Instance);
        taken.UnionWith(LinearLayerFinder.PartsOf(layers));
        HashSet<NodeProto> live = Reachability.Ancestors(graph, [logits], stop: _ => false);
        NodeProto[] products =
        [
            .. graph.Nodes.Where(node => ProductNode.Is(node) && !taken.Contains(node) && WeightsOf(graph, node).Any())
        ];
        HashSet<string> outputs = [.. layers.Select(layer => layer.Output), .. products.SelectMany(node => node.Output)];
        HashSet<NodeProto> afterLast = Reachability.Sources(graph, [logits], outputs.Contains);
        List<OverlookedProduct> found = [];
        foreach (NodeProto node in graph.Nodes)
        {
            if (Array.IndexOf(products, node) >= 0)
            {
                bool isHead = node.Output.Any(output => output == logits || graph.Consumers(output).Any(afterLast.Contains));
                found.AddRange(WeightsOf(graph, node).Select(weight => new OverlookedProduct(
                    NameOf(node), node.OpType, weight.Tensor,
                    live.Contains(node) ? Explain(node, weight) : "the logits do not depend on it", isHead)
                {
                    Module = LinearLayerFinder.Module(node),
                }));
            }

            foreach (GraphProto body in Subgraphs.Of(node))
            {
                Inside(graph, [body], $"inside the body of {GraphIndex.Describe(node)}", found);
            }

            if (functions.FirstOrDefault(function => FunctionKey.Of(function) == FunctionKey.Of(node)
                && function.Domain != OperatorNames.Domain) is { } called
                && called.Node.Any(ProductNode.Is))
            {
                string reason = $"inside the function {called.Name}, which needs other operator sets than the model";
                found.AddRange(
                    WeightsOf(graph, node).Select(weight => new OverlookedProduct(NameOf(node), node.OpType, weight.Tensor, reason)));
            }
        }

        return found;
    }

    /// <summary>Adds the products of a body, whose weights are its own constants or those of a graph around it.</summary>
    private static void Inside(GraphIndex graph, IReadOnlyList<GraphProto> bodies, string reason, List<OverlookedProduct> found)
    {
        foreach (NodeProto node in bodies[^1].Node)
        {
            if (ProductNode.Is(node))
            {
                found.AddRange(node.Input.Select(input => Constant(graph, bodies, input)).OfType<TensorProto>().Where(IsMatrix)
                    .Select(tensor => new OverlookedProduct(NameOf(node), node.OpType, tensor, reason)
                    {
                        Module = LinearLayerFinder.Module(node),
                    }));
            }

            foreach (GraphProto body in Subgraphs.Of(node))
            {
                Inside(graph, [.. bodies, body], reason, found);
            }
        }
    }

    private static TensorProto? Constant(GraphIndex graph, IReadOnlyList<GraphProto> bodies, string value)
    {
        foreach (GraphProto body in bodies.Reverse())
        {
            if (body.Initializer.FirstOrDefault(tensor => tensor.Name == value) is { } tensor)
            {
                return tensor;
            }

            if (body.Node.FirstOrDefault(node => node.Output.Contains(value)) is { } node)
            {
                return ConstantNode.Value(node)
                    ?? (node.Input.Count > 0 && IsSeenThrough(node) ? Constant(graph, bodies, node.Input[0]) : null);
            }
        }

        return Behind(graph, value)?.Tensor;
    }

    private static IEnumerable<(TensorProto Tensor, int Input, NodeProto? Maker)> WeightsOf(GraphIndex graph, NodeProto node) =>
        node.Input.Select((input, i) => (Behind(graph, input) ?? ComputedFrom(graph, input)) is var (tensor, maker) && IsMatrix(tensor)
            ? (tensor, i, maker)
            : default((TensorProto, int, NodeProto?)?))
            .OfType<(TensorProto, int, NodeProto?)>();

    private static bool IsMatrix(TensorProto tensor) => tensor.Dims.Count(dim => dim > 1) >= 2;

    /// <summary>The constant behind a value, also where a node picks one of several matrices of it, as experts are picked.</summary>
    private static (TensorProto Tensor, NodeProto? Picker)? Behind(GraphIndex graph, string value)
    {
        NodeProto? picker = null;
        while (graph.Constant(value) is null)
        {
            if (graph.Producer(value) is not { Input.Count: > 0 } node || !IsSeenThrough(node))
            {
                return null;
            }

            picker = IsGather(node) || (picker is null && node.OpType is "Slice" or "Split") ? node : picker;
            value = node.Input[0];
        }

        // What is picked from a matrix are rows: an embedding.
        TensorProto tensor = graph.Constant(value)!;
        return picker is null || !IsGather(picker) || tensor.Dims.Count > 2 ? (tensor, picker) : null;
    }

    /// <summary>
    /// The largest of the constants that nodes compute a value from, and the last of these nodes; null where the value depends on what the
    /// model reads, or on more nodes than weights are made by.
    /// </summary>
    private static (TensorProto Tensor, NodeProto? Maker)? ComputedFrom(GraphIndex graph, string value)
    {
        const int MostNodes = 64;
        HashSet<NodeProto> seen = new(ReferenceEqualityComparer.Instance);
        List<TensorProto> constants = [];
        Stack<string> open = new([value]);
        while (open.TryPop(out string? next))
        {
            if (graph.Constant(next) is { } constant)
            {
                constants.Add(constant);
            }
            else if (graph.Producer(next) is not { } node || seen.Count == MostNodes)
            {
                return null;
            }
            else if (seen.Add(node))
            {
                GraphIndex.ReadBy(node).ToList().ForEach(open.Push);
            }
        }

        return constants.MaxBy(tensor => tensor.Dims.Aggregate(Int128.One, (size, dim) => size * dim)) is { } largest
            ? (largest, graph.Producer(value))
            : null;
    }

    private static bool IsGather(NodeProto node) => node.OpType.StartsWith("Gather", StringComparison.Ordinal);

    private static bool IsSeenThrough(NodeProto node) =>
        ConstantWeight.PassesThrough(node) || (node.Domain.Length == 0
            && node.OpType is "Gather" or "GatherND" or "Slice" or "Split" or "Squeeze" or "Unsqueeze" or "Expand");

    private static string NameOf(NodeProto node) => node.Name.Length > 0 ? node.Name : node.Output[0];

    private static string Explain(NodeProto node, (TensorProto Tensor, int Input, NodeProto? Maker) weight)
    {
        var type = (DataType)weight.Tensor.DataType;
        string integer = type is DataType.Int8 or DataType.Uint8
            ? "INT8"
            : type is DataType.Int4 or DataType.Uint4 ? "INT4"
            : TensorTypes.Name(type);
        return node.OpType switch
        {
            _ when node.Domain == OperatorNames.Domain || QuantizedNames.IsPart(weight.Tensor.Name) => "quantized already",
            "MatMulNBits" => $"already INT{Attributes.Int(node, "bits", 4)}: MatMulNBits",
            "MatMulBnb4" or "MatMulFpQ4" => $"already 4-bit: {node.OpType}",
            "QMoE" => "already quantized experts: QMoE",
            "MoE" => "experts of a MoE operator, all in one constant of 3 dimensions",
            _ when ProductNode.IsCompound(node) => $"the projection inside a fused {node.OpType}",
            _ when type == DataType.Double => "computes in float64",
            _ when !TensorTypes.IsFloat(type) => $"already {integer}: {node.OpType}",
            "MatMul" when weight.Tensor.Dims is { Count: > 2 } dims && dims.TakeLast(2).Contains(1) => "outer products, of one input each",
            _ when weight.Maker is { } maker => IsGather(maker)
                ? $"experts in one constant of {weight.Tensor.Dims.Count} dimensions, picked by {maker.OpType}"
                : $"its weight is computed from constants by {maker.OpType}",
            "Conv" or "FusedConv" => $"a {node.OpType} with a kernel of several positions, groups, strides or padding",
            "Einsum" => $"an Einsum that is no plain product: {Attributes.Text(node, "equation")}",
            _ when weight.Tensor.Dims.Count != 2 => $"its constant has {weight.Tensor.Dims.Count} dimensions instead of 2",
            "MatMul" or "FusedMatMul"
                when weight.Input == 0 => "its constant is the left factor, and the dimensions of the other are not known",
            _ => $"a {node.OpType} of a form that is not known",
        };
    }
}
