using Zqfp.OnnxRewriter.Layers;

namespace Zqfp.Pipeline.Quantize;

/// <summary>Which linear layers are quantized. The one place that decides it, for quantizing, planning and inspecting.</summary>
internal static class LayerDecision
{
    /// <summary>Why <paramref name="layer"/> is left as it is, as the end of a sentence about it; null where it is quantized.</summary>
    public static string? Refusal(LinearLayer layer) => layer switch
    {
        { IsTied: true } => "its weight is the embedding's too",
        { IsHead: true } => "it makes the logits",
        _ => null,
    };
}
