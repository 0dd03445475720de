using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Chooses the output that holds the logits by evidence: what the exporter named it, whether a product of the vocabulary's width makes it,
/// and the rows of the embedding, which are the vocabulary. Hidden states have three dimensions too.
/// </summary>
internal static class LogitsFinder
{
    /// <summary>The output of <paramref name="graph"/> that holds the logits.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="file">The file to name in errors.</param>
    /// <param name="named">The output that the user says it is; null to choose.</param>
    /// <exception cref="ZqfpException">
    /// ZQFP1007: no output can be it. ZQFP1014: several can. ZQFP1015: no output has the name given.
    /// </exception>
    public static ValueInfoProto Find(GraphIndex graph, string file, string? named)
    {
        IReadOnlyList<ValueInfoProto> outputs = graph.Graph.Output;
        if (named is not null)
        {
            return outputs.FirstOrDefault(output => output.Name == named)
                ?? throw new ZqfpException("ZQFP1015", $"The model has no output '{named}'; its outputs are {List(outputs)}.", file);
        }

        if (outputs.FirstOrDefault(output => output.Name == "logits") is { } certain)
        {
            return certain;
        }

        long? vocabulary = EmbeddingRows(graph);
        Candidate[] Of(int rank) =>
        [
            .. outputs.Where(output => CanBe(output, rank)).Select(output => Candidate.Of(graph, output, vocabulary))
                .Where(candidate => !candidate.IsContradicted)
        ];
        Candidate[] candidates = Of(rank: 3);

        // Some exporters lay the tokens of all windows one behind another.
        candidates = candidates.Length > 0 ? candidates : [.. Of(rank: 2).Where(candidate => candidate.IsHead)];
        int most = candidates.Length > 0 ? candidates.Max(candidate => candidate.Evidence) : 0;
        Candidate[] best = [.. candidates.Where(candidate => candidate.Evidence == most)];
        return best switch
        {
            [var one] => one.Output,
            [] => throw new ZqfpException("ZQFP1007",
                $"None of the model's outputs ({List(outputs)}) can be logits: it is no language model, or it was exported without its "
                + "head.",
                file),
            _ => throw new ZqfpException("ZQFP1014",
                $"Several outputs can be the logits: {List(best.Select(candidate => candidate.Output))}. Name the right one with --logits.",
                file),
        };
    }

    /// <summary>The rows of the table that token ids are looked up in, or null where none is found.</summary>
    internal static long? EmbeddingRows(GraphIndex graph)
    {
        HashSet<NodeProto> ofIds = Reachability.Descendants(graph, graph.Consumers(graph.Ids));
        foreach (NodeProto node in graph.Nodes.Where(ofIds.Contains)
            .Where(node => node.OpType is "Gather" or "GatherBlockQuantized" or "EmbedLayerNormalization"))
        {
            (int table, int ids) = node.OpType == "EmbedLayerNormalization" ? (2, 0) : (0, 1);
            if (node.Input.Count > table && TokenIds.AreIn(graph, node.Input[ids], graph.Ids) && Attributes.Int(node, "axis", 0) == 0
                && ConstantWeight.TraceShape(graph, node.Input[table]) is { } weight)
            {
                return weight.Dims[weight.Transposed ? 1 : 0];
            }
        }

        return null;
    }

    /// <summary>
    /// The width of the product that makes <paramref name="value"/>, through what may stand behind a head: casts, scalings, a soft cap,
    /// picked tokens.
    /// </summary>
    internal static long? HeadWidth(GraphIndex graph, string value)
    {
        Stack<string> open = new([value]);
        HashSet<string> seen = new(StringComparer.Ordinal);
        while (open.TryPop(out string? next))
        {
            if (!seen.Add(next) || graph.Producer(next) is not { Input.Count: > 0 } node)
            {
                continue;
            }

            if (ProductNode.Outputs(graph, node) is { } width)
            {
                return width;
            }

            switch (node.OpType)
            {
                case "Cast" or "Identity" or "Reshape" or "Transpose" or "Slice" or "Gather" or "GatherND" or "Squeeze"
                    or "Unsqueeze" or "Tanh" or "Softmax" or "LogSoftmax" or "Clip" or "DequantizeLinear":
                    open.Push(node.Input[0]);
                    break;
                case "Mul" or "Div":
                case "Add" or "Sub" when node.Input.Any(input => graph.Constant(input) is not null):
                    node.Input.Where(input => graph.Constant(input) is null).ToList().ForEach(open.Push);
                    break;
            }
        }

        return null;
    }

    private static bool CanBe(ValueInfoProto output, int rank)
    {
        TypeProto.Types.Tensor? tensor = output.Type?.TensorType;
        return (output.Type is null || tensor is not null)
            && (tensor is null || tensor.ElemType == 0 || TensorTypes.IsFloat((DataType)tensor.ElemType))
            && (tensor?.Shape is null || tensor.Shape.Dim.Count == rank);
    }

    private static string List(IEnumerable<ValueInfoProto> outputs) => string.Join(", ", outputs.Select(output => $"'{output.Name}'"));

    /// <summary>An output and what speaks for it.</summary>
    private sealed record Candidate(ValueInfoProto Output, int Evidence, bool IsContradicted, bool IsHead)
    {
        public static Candidate Of(GraphIndex graph, ValueInfoProto output, long? vocabulary)
        {
            long? declared = output.Type?.TensorType?.Shape?.Dim.LastOrDefault() is { HasDimValue: true } last ? last.DimValue : null;
            long? width = HeadWidth(graph, output.Name);
            bool isNamed = output.Name.Contains("logits", StringComparison.OrdinalIgnoreCase);

            // A head may have a few rows more than the embedding, or fewer, for padding; hidden states are far from both.
            bool fits = vocabulary is { } rows && (width ?? declared) is { } length && Math.Abs(length - rows) <= Math.Max(256, rows / 50)
                && length * 2 > rows;
            bool isOther = vocabulary is not null && (width ?? declared) is not null && !fits;
            int evidence = (fits && width is not null ? 4 : 0) + (isNamed ? 2 : 0) + (width is not null || fits ? 1 : 0);
            return new Candidate(output, evidence, isOther && !isNamed, IsHead: fits && width is not null);
        }
    }
}
