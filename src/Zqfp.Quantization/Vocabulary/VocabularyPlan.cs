using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>What becomes of the matrices that have a row for each token: the embedding, and the head where it has the same rows.</summary>
internal sealed record VocabularyPlan
{
    /// <summary>The model's embeddings.</summary>
    public IReadOnlyList<EmbeddingTable> Found { get; private init; } = [];

    /// <summary>The embeddings to quantize.</summary>
    public IReadOnlyList<EmbeddingTable> Embeddings { get; private init; } = [];

    /// <summary>
    /// The head that has the rows of an embedding, both quantized: one set of codes is stored for the two, rounded to nearest as an
    /// embedding's must be. What the head loses by that, its low-rank branch makes good. Null where there is none.
    /// </summary>
    public LinearLayer? TiedHead { get; private init; }

    /// <summary>The embedding that has the rows of <see cref="TiedHead"/>.</summary>
    public EmbeddingTable? TiedEmbedding { get; private init; }

    /// <summary>What the user should know; null where there is nothing to say.</summary>
    public Diagnostic? Warning { get; private init; }

    /// <summary>How a head in FP8 is quantized.</summary>
    /// <param name="body">How the other layers are.</param>
    public static QuantizationOptions HeadOptions(QuantizationOptions body) => body with
    {
        Format = NumberFormat.E4M3,
        GroupSize = QuantizationOptions.WholeRow,
        Constraint = ScaleConstraint.M2,
        ScaleStorage = ScaleStorage.Float32,
    };

    /// <summary>
    /// How a head is quantized whose codes an embedding has too: rounded to nearest, with a low-rank branch where that is fitted to what
    /// the head reads.
    /// </summary>
    /// <param name="head">How a head of its own would be.</param>
    public static QuantizationOptions TiedOptions(QuantizationOptions head) => head with
    {
        Method = QuantizationMethod.Rtn,
        ScaleSearch = ScaleSearch.None,
        ActOrder = false,
        RefineSweeps = 0,
        LowRankRefits = 0,
        Rank = head.LowRankWeighting == LowRankWeighting.ActivationWeighted ? head.Rank : 0,
    };

    /// <summary>Bytes of an embedding in FP8, its codes left out where the head has them.</summary>
    public long Bytes(EmbeddingTable table) =>
        ((long)sizeof(float) * table.Rows) + (ReferenceEquals(table, TiedEmbedding) ? 0 : (long)table.Rows * table.Columns);

    /// <summary>Bytes of all embeddings to quantize.</summary>
    public long EmbeddingBytes => Embeddings.Sum(Bytes);

    /// <summary>Plans a model's.</summary>
    /// <param name="file">The model.</param>
    /// <param name="graph">Its graph.</param>
    /// <param name="choices">What becomes of its layers.</param>
    /// <param name="overlooked">Products that are no linear layers.</param>
    /// <param name="options">The options.</param>
    /// <param name="logits">The model's logits.</param>
    /// <exception cref="ZqfpException">ZQFP0030: there is no such embedding. ZQFP0031: there is no such head.</exception>
    public static VocabularyPlan Of(OnnxFile file, GraphIndex graph, IReadOnlyList<LayerChoice> choices,
        IReadOnlyList<OverlookedProduct> overlooked, QuantizeOptions options, string logits)
    {
        LayerChoice[] heads = [.. choices.Where(choice => choice.Layer.IsHead)];
        if (options.Head == VocabularyFormat.Fp8)
        {
            RequireHead(heads, overlooked, file.Path);
        }

        IReadOnlyList<EmbeddingTable> found = EmbeddingTable.Find(graph, logits);
        IReadOnlyList<EmbeddingTable> embeddings = options.Embedding == VocabularyFormat.Fp8 ? found : [];
        if (options.Embedding == VocabularyFormat.Fp8 && embeddings.Count == 0)
        {
            throw new ZqfpException("ZQFP0030",
                "The model has no Gather that looks 'input_ids' up in the rows of a float matrix, so there is no embedding to store as "
                + "FP8: it is quantized already, fused with other operators, or in another model. Use --embedding float.",
                file.Path);
        }

        QuantizationOptions plain = HeadOptions(options.Quantization);
        foreach (LayerChoice head in heads.Where(
            head => head.FloatBecause is null && head.Options with { Rank = plain.Rank } == plain && options.Head == VocabularyFormat.Fp8))
        {
            bool isAlone = choices.Count(other => other.FloatBecause is null && other.Layer.Input == head.Layer.Input) == 1;
            if (isAlone && embeddings.FirstOrDefault(table => TiedRows.AreSame(file, graph, head.Layer, table)) is { } table)
            {
                return new VocabularyPlan { Found = found, Embeddings = embeddings, TiedHead = head.Layer, TiedEmbedding = table };
            }
        }

        bool isHalf = (options.Head == VocabularyFormat.Fp8) != (options.Embedding == VocabularyFormat.Fp8);
        return new VocabularyPlan
        {
            Found = found,
            Embeddings = embeddings,
            Warning = isHalf && heads.FirstOrDefault(head => head.Layer.IsTied) is { } tied
                ? HalfOfPair(tied.Layer, options, file.Path)
                : null,
        };
    }

    private static void RequireHead(LayerChoice[] heads, IReadOnlyList<OverlookedProduct> overlooked, string path)
    {
        if (heads.Any(head => head.FloatBecause is null))
        {
            return;
        }

        string why = heads.FirstOrDefault() is { } head ? $"'{head.Layer.DisplayName}' is {head.FloatBecause}"
            : overlooked.FirstOrDefault(product => product.IsHead) is { } product
                ? $"'{product.Name}' ({product.Operator}) is {product.Reason}"
            : "no product with a constant weight makes the logits";
        throw new ZqfpException("ZQFP0031", $"There is no head to store as FP8: {why}. Use --head float.", path);
    }

    private static Diagnostic HalfOfPair(LinearLayer head, QuantizeOptions options, string path)
    {
        (string done, string left, string option) = options.Head == VocabularyFormat.Fp8
            ? ("head", "embedding", "--embedding fp8 (Embedding in a project)")
            : ("embedding", "head", "--head fp8 (Head in a project)");
        return new Diagnostic("ZQFP0032", DiagnosticSeverity.Warning,
            $"The head '{head.DisplayName}' and the embedding are one weight, and only the {done} becomes FP8: the {left} keeps the float "
            + $"weight beside it, and the model grows. Add {option} to store one FP8 weight for both.",
            path);
    }
}
