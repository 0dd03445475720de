
namespace Zqfp.OnnxRewriter;

/// <summary>How a quantized layer's input is rounded before the product.</summary>
internal enum ActivationRounding
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>To FP8 E4M3FN with one scale per token.</summary>
    Fp8,

    /// <summary>To FP8 E5M2 with one scale per token; simulated only.</summary>
    Fp8E5M2,

    /// <summary>To INT8 with one scale per token; simulated only.</summary>
    Int8,
}

/// <summary>The element type of a quantized weight's codes.</summary>
internal enum WeightCodes
{
    /// <summary>4 bits, FP4 E2M1, two codes a byte, low nibble first, rows not padded.</summary>
    Fp4E2M1,

    /// <summary>8 bits, FP8 E4M3FN.</summary>
    Fp8E4M3,

    /// <summary>A format that no operator reads; <see cref="QuantizedLayerTensors.Values"/> stand for it.</summary>
    Simulated,
}

/// <summary>
/// What replaces one linear layer's weight: codes, scales and low-rank factors, as the operators of domain <c>zqfp</c> read them.
/// </summary>
internal sealed record QuantizedLayerTensors
{
    /// <summary>The layer replaced.</summary>
    public required LinearLayer Layer { get; init; }

    /// <summary>Element type of <see cref="Codes"/>.</summary>
    public required WeightCodes CodesType { get; init; }

    /// <summary>Codes [N, K].</summary>
    public required ReadOnlyMemory<byte> Codes { get; init; }

    /// <summary>The numbers [N, K] that codes and scales stand for, where the layer is only simulated; else null.</summary>
    public ReadOnlyMemory<float>? Values { get; init; }

    /// <summary>Columns that share a scale; the last group of a row may be shorter.</summary>
    public required int GroupSize { get; init; }

    /// <summary>k [N, ceil(K / group)] of the group scale S * 2^-k, or null where <see cref="Scales"/> holds every group's scale.</summary>
    public ReadOnlyMemory<byte>? Exponents { get; init; }

    /// <summary>S [N] beside <see cref="Exponents"/>; otherwise the group scales [N, ceil(K / group)].</summary>
    public required ReadOnlyMemory<float> Scales { get; init; }

    /// <summary>Rank r of the low-rank branch, 0 for none.</summary>
    public int Rank { get; init; }

    /// <summary>The first factor [r, K]: it meets the input.</summary>
    public ReadOnlyMemory<Half> Down { get; init; }

    /// <summary>The second factor [N, r]: it makes the output.</summary>
    public ReadOnlyMemory<Half> Up { get; init; }

    /// <summary>What replaces the layer's bias [N]; null where that stays as it is.</summary>
    public ReadOnlyMemory<float>? Bias { get; init; }

    /// <summary>How the layer's input is rounded.</summary>
    public ActivationRounding Activations { get; init; }

    /// <summary>
    /// Inputs of a block that are multiplied by the normalized Hadamard matrix before they are rounded: a power of two from 2 to 256 that
    /// divides K, or 0 for none. The weight was multiplied too, and layers that read one value share it.
    /// </summary>
    public int Rotation { get; init; }

    /// <summary>Bytes that replace the weight's own.</summary>
    public long ByteLength =>
        Codes.Length + (Exponents?.Length ?? 0) + (4L * Scales.Length) + (2L * (Down.Length + Up.Length));
}
