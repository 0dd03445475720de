using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Evaluation;

/// <summary>What must be known of a language model before text can be fed to it.</summary>
/// <param name="Path">The model.</param>
/// <param name="Logits">Its output of shape [batch, length, vocabulary].</param>
/// <param name="Vocabulary">Number of token ids it knows, or null where the model does not say.</param>
/// <param name="HeadSize">Length of an attention head's key, where its attention nodes tell.</param>
/// <param name="IsRewritten">
/// Whether it is run as another graph that computes the same in float32: bfloat16, FP4 weights and some mixtures of experts have no
/// kernels on the CPU.
/// </param>
internal sealed record ModelFacts(string Path, string Logits, int? Vocabulary, int? HeadSize, bool IsRewritten)
{
    private static readonly string[] QuantizedOperators =
        ["DequantizeLinear", "MatMulInteger", "QLinearMatMul", "ConvInteger", "QLinearConv", "DynamicQuantizeMatMul",
            "MatMulNBits", "MatMulBnb4", "QMoE", "GatherBlockQuantized"];

    /// <summary>
    /// Reads the facts from the model's structure, of a model whose data files are whole: ONNX Runtime would say less about one that is
    /// not.
    /// </summary>
    /// <param name="path">The model.</param>
    /// <param name="logits">The output that holds the logits; null to choose it.</param>
    /// <exception cref="ZqfpException">ZQFP1007, ZQFP1014, ZQFP1015: as <see cref="LogitsFinder.Find"/>; ZQFP1007 also for
    /// probabilities.</exception>
    /// <exception cref="ZqfpException">ZQFP1002, ZQFP1003: external data is missing, too short, or does not fit.</exception>
    /// <exception cref="ZqfpException">ZQFP1008: it gives the logits of the last token alone.</exception>
    public static ModelFacts Read(string path, string? logits = null)
    {
        using OnnxFile file = OnnxFile.Open(path);
        file.ExternalFiles();
        GraphIndex graph = new(file.Graph, file.Path);
        ModelFacts facts = Of(file, graph, logits);
        GraphIndex plain = LinearForms.Plain(graph, file.Path);
        if (ProbabilitiesOf(graph, facts.Logits) is { } softmax)
        {
            throw new ZqfpException("ZQFP1007",
                $"Output '{facts.Logits}' holds probabilities, which {GraphIndex.Describe(softmax)} makes, and no logits. Export the model "
                + "without it, or name the output that holds the logits with --logits.",
                file.Path);
        }

        return LogitsCoverage.Refusal(plain, LinearLayerFinder.Find(plain, facts.Logits), facts.Logits) is { } refusal
            ? throw new ZqfpException("ZQFP1008",
                $"The model gives logits for the last token alone ({refusal}): perplexity needs those of every token. Export it without "
                + "pruning the head.",
                file.Path)
            : facts;
    }

    /// <summary>As <see cref="Read"/>, of a model that need give only the logits of the last token.</summary>
    public static ModelFacts ReadForGeneration(string path, string? logits = null)
    {
        using OnnxFile file = OnnxFile.Open(path);
        file.ExternalFiles();
        return Of(file, new GraphIndex(file.Graph, file.Path), logits);
    }

    /// <summary>Takes the facts from the structure of a model that is open.</summary>
    /// <exception cref="ZqfpException">ZQFP1007, ZQFP1014, ZQFP1015: as <see cref="LogitsFinder.Find"/>.</exception>
    public static ModelFacts Of(OnnxFile file, GraphIndex graph, string? logits = null)
    {
        ValueInfoProto output = LogitsFinder.Find(graph, file.Path, logits);
        TensorShapeProto.Types.Dimension? last = output.Type?.TensorType?.Shape?.Dim.LastOrDefault();
        int? vocabulary = last is { HasDimValue: true, DimValue: <= int.MaxValue and var size } ? (int)size : null;
        if (last is { HasDimValue: true } && vocabulary is null or 0)
        {
            throw new ZqfpException("ZQFP1007",
                $"Output '{output.Name}' is declared with {last.DimValue} logits a token, which no language model has. Export the model "
                + "again.",
                file.Path);
        }

        if (vocabulary is null && LogitsFinder.HeadWidth(graph, output.Name) is > 0 and <= int.MaxValue and var width)
        {
            vocabulary = (int)width;
        }

        int past = graph.Inputs.Where(input => DecoderInput.IsCache(input.Name))
            .Select(input => input.Type?.TensorType?.Shape?.Dim.Count is > 3 and var rank ? Fixed(graph, input.Name, rank - 2) ?? 0 : 0)
            .FirstOrDefault();

        IReadOnlyList<TensorShapeProto.Types.Dimension>? ids =
            graph.Inputs.FirstOrDefault(input => input.Name == graph.Ids)?.Type?.TensorType?.Shape?.Dim;
        if (ids is [{ DimParam: var first }, { DimParam: var second }] && IsLength(first) && IsBatch(second))
        {
            throw new ZqfpException("ZQFP1005",
                $"Input '{graph.Ids}' is declared as [{first}, {second}], and windows are fed as [batch, sequence]. Export the model with "
                + "the batch first.",
                file.Path);
        }

        bool hasBatch = ids is not [_];

        // The fused operator takes one window at a time where there is a cache.
        bool isFused = graph.Nodes.Any(node => node.OpType == "GroupQueryAttention");
        return new ModelFacts(file.Path, output.Name, vocabulary, AttentionHeads.Size(graph),
            Float32Graph.IsNeededBy(graph.Graph) || LowFloatWeights.AreIn(graph.Graph)
                || CpuForms.AreIn(graph.Graph))
        {
            Stamp = file.Stamp,
            Ids = graph.Ids,
            HasAdditiveMask = AdditiveMask.IsIn(graph),
            FixedWindow = Fixed(graph, graph.Ids, hasBatch ? 1 : 0),
            FixedBatch = hasBatch ? Fixed(graph, graph.Ids, 0) ?? (isFused && past > 0 ? 1 : null) : 1,
            PastLength = past,
            HasSharedCache = isFused && past > 0,
            Caches = past == 0 ? CacheLink.Find(graph) : [],
            FixedBatchBehindContext = isFused ? 1 : null,
            IsQuantized = file.Envelope.MetadataProps.Any(entry => entry.Key == ModelProperties.LayersKey && entry.Value != "0")
                || file.Graph.Node.Any(node => node.Domain == OperatorNames.Domain || QuantizedOperators.Contains(node.OpType)),
        };
    }

    /// <summary>The input that holds the token ids.</summary>
    public string Ids { get; private init; } = TokenIds.Name;

    /// <summary>Whether an attention mask of numbers is added to what attention sees, so that 0 shows a token.</summary>
    public bool HasAdditiveMask { get; private init; }

    /// <summary>Whether it has a quantized layer, as far as its operators or this project's property tell.</summary>
    public bool IsQuantized { get; private init; }

    /// <summary>What the model's file was before it was read.</summary>
    public FileStamp Stamp { get; private init; }

    /// <summary>Tokens of every window where the model takes no other number; else null.</summary>
    public int? FixedWindow { get; private init; }

    /// <summary>Windows of every run where the model takes no other number; else null.</summary>
    public int? FixedBatch { get; private init; }

    /// <summary>Positions of the cache that every run has; 0 where it can be empty.</summary>
    public int PastLength { get; private init; }

    /// <summary>
    /// Whether new keys and values are written into the cache where there is room for them, as the fused operator does, not behind it.
    /// </summary>
    public bool HasSharedCache { get; private init; }

    /// <summary>
    /// Its caches, where windows can go on from what was kept of the tokens before them; empty where they cannot, or it is not known how.
    /// </summary>
    public IReadOnlyList<CacheLink> Caches { get; init; } = [];

    /// <summary>Windows of every run that go on from a cache where the model takes no other number; else null.</summary>
    public int? FixedBatchBehindContext { get; private init; }

    /// <summary>Tokens that attention may see in a window of <paramref name="length"/>, those of the cache included.</summary>
    public int TotalLength(int length) => HasSharedCache && length <= PastLength ? length : length + PastLength;

    /// <summary>Refuses windows of a length that the model cannot take.</summary>
    /// <exception cref="ZqfpException">ZQFP1016.</exception>
    public void RequireWindow(int window)
    {
        if (FixedWindow is { } length && length != window)
        {
            throw new ZqfpException("ZQFP1016",
                $"The model takes {length} tokens at a time, and windows of {window} were asked for. Use --window {length}.", Path);
        }
    }

    /// <summary>The Softmax that makes an output, or null where none does.</summary>
    private static NodeProto? ProbabilitiesOf(GraphIndex graph, string output)
    {
        NodeProto? node = graph.Producer(output);
        while (node is { OpType: "Identity" or "Cast" or "Reshape" or "Squeeze" or "Unsqueeze" })
        {
            node = graph.Producer(node.Input[0]);
        }

        return node is { OpType: "Softmax", Domain.Length: 0 } ? node : null;
    }

    private static bool IsLength(string symbol) => symbol.Contains("seq", StringComparison.OrdinalIgnoreCase)
        || symbol.Contains("len", StringComparison.OrdinalIgnoreCase);

    private static bool IsBatch(string symbol) => symbol.Contains("batch", StringComparison.OrdinalIgnoreCase);

    private static int? Fixed(GraphIndex graph, string input, int dimension) =>
        graph.Inputs.FirstOrDefault(value => value.Name == input)?.Type?.TensorType?.Shape?.Dim.ElementAtOrDefault(dimension)
            is { HasDimValue: true, DimValue: > 0 and <= int.MaxValue and var size }
            ? (int)size
            : null;
}
