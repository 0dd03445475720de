using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Says the products with a constant weight that graphs spell in other ways as a MatMul or Gemm with the weight on the right, which
/// <see cref="LinearLayerFinder"/> finds: Gemm with factors, transposed input or an unusual bias, FusedMatMul, Einsum, Conv with a kernel
/// of one position, weights with leading dimensions of 1, and weights on the left, <c>Y = W X = (X^T W^T)^T</c>.
/// </summary>
internal static class LinearForms
{
    private const string Microsoft = "com.microsoft";

    /// <summary>
    /// The graph with such products said plainly; <paramref name="graph"/> itself, which never changes, where there are none.
    /// </summary>
    /// <remarks>
    /// Where a form depends on the rank of the activation, it must be known: declared, or that of a Transpose or Reshape that makes it.
    /// </remarks>
    /// <param name="graph">The graph.</param>
    /// <param name="file">The file to name in errors.</param>
    /// <param name="wanted">Names of the products to say plainly, as layers are named; null for all.</param>
    public static GraphIndex Plain(GraphIndex graph, string file, IReadOnlySet<string>? wanted = null) =>
        Replace(
            Replace(Replace(Experts(graph, file, wanted), file, wanted, Spell), file, wanted, TurnLeft),
            file, wanted, new UnknownRanks().Spell);

    private static GraphIndex Experts(GraphIndex graph, string file, IReadOnlySet<string>? wanted) =>
        SameValues.Join(Replace(graph, file, wanted, ExpertForms.Spell), file);

    private static GraphIndex Replace(GraphIndex graph, string file, IReadOnlySet<string>? wanted,
        Func<GraphIndex, NodeProto, LinearFormBuilder, LinearFormBuilder?> form)
    {
        Dictionary<NodeProto, LinearFormBuilder> replaced = new(ReferenceEqualityComparer.Instance);
        FreshNames? names = null;
        foreach (NodeProto node in graph.Nodes.Where(node => node.Input.Count > 1 && node.Output.Count > 0))
        {
            if (wanted?.Contains(node.Name.Length > 0 ? node.Name : node.Output[0]) != false
                && form(graph, node, new LinearFormBuilder(node, names ??= new FreshNames(graph.Graph))) is { } built)
            {
                replaced.Add(node, built);
            }
        }

        if (replaced.Count == 0)
        {
            return graph;
        }

        GraphIndex changed = Changed(graph, file, replaced);
        NodeProto[] outer = [.. replaced.Where(entry => entry.Value.Nodes.Any(made => OuterProduct.Is(changed, made)))
            .Select(entry => entry.Key)];
        if (outer.Length == 0)
        {
            return changed;
        }

        Array.ForEach(outer, node => replaced.Remove(node));
        return replaced.Count == 0 ? graph : Changed(graph, file, replaced);
    }

    private static GraphIndex Changed(GraphIndex graph, string file, Dictionary<NodeProto, LinearFormBuilder> replaced)
    {
        GraphProto changed = GraphShell.Of(graph.Graph);
        changed.Initializer.AddRange(graph.Graph.Initializer);
        changed.Initializer.AddRange(replaced.Values.SelectMany(built => built.Initializers));
        changed.Node.AddRange(
            graph.Nodes.SelectMany(node => replaced.TryGetValue(node, out LinearFormBuilder? built) ? built.Nodes : [node]));
        return new GraphIndex(changed, file);
    }

    private static LinearFormBuilder? Spell(GraphIndex graph, NodeProto node, LinearFormBuilder form) => (node.Domain, node.OpType) switch
    {
        ("", "Gemm") => Gemm(graph, node, form),
        ("", "MatMul") => WeightWithLeadingOnes(graph, node, form),
        (Microsoft, "FusedMatMul" or "TransposeMatMul") => FusedMatMul(graph, node, form),
        ("", "Einsum") => EinsumForm.Spell(graph, node, form),
        ("", "Conv") => Conv(graph, node, form),
        _ => null,
    };

    private static LinearFormBuilder? Gemm(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        bool transA = Attributes.Int(node, "transA", 0) != 0;
        (float alpha, float beta) = (Attributes.Float(node, "alpha", 1), Attributes.Float(node, "beta", 1));
        string? bias = node.Input.ElementAtOrDefault(2) is { Length: > 0 } name ? name : null;
        ConstantWeight? right = ConstantWeight.Trace(graph, node.Input[1]);
        ConstantWeight? weight = right ?? ConstantWeight.Trace(graph, node.Input[0]);
        bool isPlain = alpha == 1 && (right is null || !transA)
            && (bias is null || (right is not null && beta == 1 && IsVector(graph.Initializer(bias))));
        if (weight is null || isPlain)
        {
            return null;
        }

        bool transB = Attributes.Int(node, "transB", 0) != 0;
        string input = right is not null && transA ? form.TransposeLast(node.Input[0], 2) : node.Input[0];
        AttributeProto[] attributes =
        [
            .. transB ? [Attributes.Make("transB", 1)] : (AttributeProto[])[],
            .. right is null && transA ? [Attributes.Make("transA", 1)] : (AttributeProto[])[],
        ];

        // A bias [1, N] becomes [N], which the product takes itself; any other is added behind.
        TensorProto? constant = bias is null ? null : graph.Initializer(bias);
        if (right is not null && alpha == 1 && beta == 1 && constant is { Dims: [1, > 1 and var width] })
        {
            form.Product("Gemm", [input, node.Input[1], form.Reshaped(constant, width)], attributes);
            return form.End();
        }

        string product = form.Scale(form.Product("Gemm", [input, node.Input[1]], attributes), alpha, weight.Type);
        if (bias is not null)
        {
            form.Sum(product, form.Scale(bias, beta, weight.Type));
        }

        return form.End();
    }

    private static bool IsVector(TensorProto? tensor) => tensor is { Dims: [> 1] };

    private static LinearFormBuilder? FusedMatMul(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        ConstantWeight? right = ConstantWeight.Trace(graph, node.Input[1]);
        ConstantWeight? weight = right ?? ConstantWeight.Trace(graph, node.Input[0]);
        if (weight is null || Attributes.Int(node, "transBatchA", 0) != 0 || Attributes.Int(node, "transBatchB", 0) != 0)
        {
            return null;
        }

        string[] factors = [node.Input[0], node.Input[1]];
        for (int i = 0; i < 2; i++)
        {
            if (Attributes.Int(node, i == 0 ? "transA" : "transB", 0) == 0)
            {
                continue;
            }

            bool isWeight = (i == 1) == (right is not null);
            if ((isWeight ? 2 : graph.RankOf(factors[i])) is not { } rank || rank < 2)
            {
                return null;
            }

            factors[i] = form.TransposeLast(factors[i], rank);
        }

        form.Scale(form.Product("MatMul", factors), Attributes.Float(node, "alpha", 1), weight.Type);
        return form.End();
    }

    /// <summary>A weight [1, .., K, N], on either side, multiplies like [K, N] with an activation of as many dimensions.</summary>
    private static LinearFormBuilder? WeightWithLeadingOnes(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        int side = HasLeadingOnes(graph, node.Input[1]) ? 1 : 0;
        string other = node.Input[1 - side];
        if (!HasLeadingOnes(graph, node.Input[side]) || graph.RankOf(other) is not { } rank || rank < 2
            || ConstantWeight.TraceNumbers(graph, other) is not null)
        {
            return null;
        }

        ConstantWeight weight = ConstantWeight.TraceNumbers(graph, node.Input[side])!;
        long[] dims = [.. weight.Dims.TakeLast(2)];
        string matrix = form.Reshape(node.Input[side], weight.Transposed ? [dims[1], dims[0]] : dims);
        form.Product("MatMul", side == 1 ? [other, matrix] : [matrix, other]);
        if (rank < weight.Dims.Count)
        {
            form.Apply("Unsqueeze", [form.LastValue,
                form.Integers([.. Enumerable.Range(0, weight.Dims.Count - rank).Select(axis => (long)axis)])]);
        }

        return form.End();
    }

    private static bool HasLeadingOnes(GraphIndex graph, string value) =>
        ConstantWeight.TraceNumbers(graph, value) is { Dims: { Count: > 2 } dims } && dims.SkipLast(2).All(dim => dim == 1);

    /// <summary>A convolution whose kernel has one position: [B, C, L..] times [O, C, 1..].</summary>
    private static LinearFormBuilder? Conv(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        TensorProto? tensor = graph.Initializer(node.Input[1]);
        bool isPlain = tensor is { Dims.Count: > 2 } && tensor.Dims.Skip(2).All(dim => dim == 1)
            && TensorTypes.IsFloat((DataType)tensor.DataType)
            && Attributes.Int(node, "group", 1) == 1
            && Attributes.Ints(node, "strides")?.All(stride => stride == 1) != false
            && Attributes.Ints(node, "pads")?.All(pad => pad == 0) != false;
        if (!isPlain)
        {
            return null;
        }

        int rank = tensor!.Dims.Count;
        string weight = form.TransposeLast(form.Reshape(node.Input[1], tensor.Dims[0], tensor.Dims[1]), 2);
        string rows = form.Transpose(node.Input[0], [0, .. Enumerable.Range(2, rank - 2).Select(i => (long)i), 1]);
        string product = form.Product("MatMul", [rows, weight]);
        if (node.Input.ElementAtOrDefault(2) is { Length: > 0 } bias)
        {
            product = form.Sum(product, bias);
        }

        form.Transpose(product, [0, rank - 1, .. Enumerable.Range(1, rank - 2).Select(i => (long)i)]);
        return form.End();
    }

    private static LinearFormBuilder? TurnLeft(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        if (node.Domain.Length > 0 || node.OpType is not ("MatMul" or "Gemm")
            || ConstantWeight.Trace(graph, node.Input[0]) is null || ConstantWeight.Trace(graph, node.Input[1]) is not null)
        {
            return null;
        }

        bool isGemm = node.OpType == "Gemm";
        int? rank = isGemm ? 2 : graph.RankOf(node.Input[1]);
        if (rank is not { } dims || dims < 2 || (isGemm && node.Input.Count > 2))
        {
            return null;
        }

        bool weightIsTurned = isGemm && Attributes.Int(node, "transA", 0) != 0;
        bool inputIsTurned = isGemm && Attributes.Int(node, "transB", 0) != 0;
        string input = inputIsTurned ? node.Input[1] : form.TransposeLast(node.Input[1], dims);
        string weight = weightIsTurned ? node.Input[0] : form.TransposeLast(node.Input[0], 2);
        form.TransposeLast(form.Product("MatMul", [input, weight]), dims);
        return form.End();
    }
}
