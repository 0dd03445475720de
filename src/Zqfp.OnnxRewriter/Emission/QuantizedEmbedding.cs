namespace Zqfp.OnnxRewriter;

/// <summary>What replaces an embedding: its rows as FP8 E4M3FN codes, with a scale for each.</summary>
/// <param name="Table">The embedding replaced.</param>
/// <param name="Codes">
/// Codes [V, D]. Where the head has the same memory as its codes, both are written to one place of the model's data.
/// </param>
/// <param name="Scales">S [V]: a row's numbers are S times the values of its codes.</param>
internal sealed record QuantizedEmbedding(EmbeddingTable Table, ReadOnlyMemory<byte> Codes, ReadOnlyMemory<float> Scales);
