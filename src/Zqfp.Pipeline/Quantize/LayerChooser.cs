using Zqfp.Numerics;
using Zqfp.OnnxRewriter.Layers;

namespace Zqfp.Pipeline.Quantize;

/// <summary>What is to be done with one linear layer.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Options">How it is quantized, unless it stays float.</param>
/// <param name="FloatBecause">Why it stays float, in a few words; null where it is quantized.</param>
internal sealed record LayerChoice(LinearLayer Layer, QuantizationOptions Options, string? FloatBecause);

/// <summary>Decides which linear layers are quantized, in one place for quantizing, planning and inspecting.</summary>
internal static class LayerChooser
{
    /// <summary>What is to be done with each layer, in their order.</summary>
    public static IReadOnlyList<LayerChoice> Choose(IReadOnlyList<LinearLayer> layers, QuantizeOptions options) =>
        [.. layers.Select(layer => new LayerChoice(layer, options.Quantization, FloatBecause(layer)))];

    private static string? FloatBecause(LinearLayer layer) => layer switch
    {
        { IsTied: true } => "tied to the embedding",
        { IsHead: true } => "makes the logits",
        _ => null,
    };
}
