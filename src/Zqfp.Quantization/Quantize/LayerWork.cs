using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>One layer while a run lasts: what is to be done with it, and the result once it is there.</summary>
/// <param name="layer">The layer.</param>
/// <param name="options">How it is quantized.</param>
/// <param name="key">What its quantization depends on.</param>
internal sealed class LayerWork(LinearLayer layer, QuantizationOptions options, LayerKey key)
{
    /// <summary>The layer.</summary>
    public LinearLayer Layer { get; } = layer;

    /// <summary>How it is quantized.</summary>
    public QuantizationOptions Options { get; } = options;

    /// <summary>What its quantization depends on.</summary>
    public LayerKey Key { get; } = key;

    /// <summary>Whether it is quantized itself; otherwise it takes the numbers of <see cref="LinearLayer.SharesWeightOf"/>.</summary>
    public bool IsOwner => Layer.SharesWeightOf is null;

    /// <summary>The result, of an earlier run or of this one; null while it is to be made.</summary>
    public QuantizedLayerResult? Result { get; set; }

    /// <summary>Whether nothing has to be computed for it.</summary>
    public bool IsKept => Result is not null || !IsOwner;
}
