namespace Zqfp.ModelBench;

/// <summary>Sizes of a decoder.</summary>
/// <param name="Layers">Decoder layers.</param>
/// <param name="Hidden">Width of the residual stream.</param>
/// <param name="Inner">Width of the gated part.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyHeads">Key and value heads.</param>
/// <param name="Vocabulary">Tokens.</param>
internal sealed record DecoderShape(int Layers, int Hidden, int Inner, int Heads, int KeyHeads, int Vocabulary)
{
    /// <summary>LLaMA 7B.</summary>
    public static DecoderShape Llama7B { get; } = new(32, 4096, 11008, 32, 32, 32000);

    /// <summary>Small enough for the processor, to compare results.</summary>
    public static DecoderShape Small { get; } = new(3, 512, 1408, 8, 4, 1000);

    /// <summary>Width of a head.</summary>
    public int HeadSize => Hidden / Heads;

    /// <summary>Outputs of the packed projection of queries, keys and values.</summary>
    public int Packed => Hidden + (2 * KeyHeads * HeadSize);

    /// <summary>Weights of all layers' products.</summary>
    public long Weights => (long)Layers * Hidden * (Packed + Hidden + (3 * Inner));
}
