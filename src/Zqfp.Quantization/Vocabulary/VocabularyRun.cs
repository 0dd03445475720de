using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Rounds the embeddings of a plan, and the head that shares the rows of one.</summary>
/// <param name="options">The options of the run.</param>
/// <param name="file">The model.</param>
/// <param name="plan">What is to be done.</param>
/// <param name="cancellation">Stops between strips of rows.</param>
internal sealed class VocabularyRun(QuantizeOptions options, OnnxFile file, VocabularyPlan plan, CancellationToken cancellation)
{
    private readonly Dictionary<string, RoundedRows> _rounded = new(StringComparer.Ordinal);

    /// <summary>The embeddings, each to be put into the model; two lookups of one table have one memory.</summary>
    public IEnumerable<QuantizedEmbedding> Embeddings() =>
        plan.Embeddings.Select(table => new QuantizedEmbedding(table, Round(table).Codes, Round(table).Scales));

    /// <summary>A quantized layer as it is; the head that shares the rows of an embedding with that one's memory for its codes.</summary>
    public QuantizedLayerResult Shared(QuantizedLayerResult result)
    {
        if (plan.TiedEmbedding is null || result.Tensors.Layer.Name != plan.TiedHead?.Name || options.IsSimulated)
        {
            return result;
        }

        RoundedRows rows = Round(plan.TiedEmbedding);
        return rows.Codes.AsSpan().SequenceEqual(result.Tensors.Codes.Span)
            ? result with { Tensors = result.Tensors with { Codes = rows.Codes } }
            : throw new InvalidOperationException("The head's codes are not those of the embedding.");
    }

    private RoundedRows Round(EmbeddingTable table)
    {
        string place = table.Weight.Identity(table.Weight.Name) + (table.Weight.Transposed ? "|t" : "");
        if (!_rounded.TryGetValue(place, out RoundedRows? rows))
        {
            int threads = options.Threads == 0 ? Environment.ProcessorCount : options.Threads;
            rows = RoundedRows.Of(
                MatrixRows.Of(file, table), table.Name, table.Rows, table.Columns, file.Path, new Workers(threads, cancellation));
            _rounded.Add(place, rows);
        }

        return rows;
    }
}
