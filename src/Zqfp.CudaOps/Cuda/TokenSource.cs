namespace Zqfp.CudaOps;

/// <summary>What a quantization quantizes; the numbers are those of the kernels' SOURCE.</summary>
internal enum TokenSource
{
    /// <summary>Its input.</summary>
    Input = 0,

    /// <summary>The RMS norm of its input, or of the sum of two.</summary>
    RmsNorm = 1,

    /// <summary>The layer norm of its input, or of the sum of two.</summary>
    LayerNorm = 2,

    /// <summary>An activation of its input; further ones follow by <see cref="TokenSources.Of"/>, alone and times another input.</summary>
    FirstActivation = 4,

    /// <summary>SiLU of its input times another.</summary>
    GatedSilu = 5,
}

/// <summary>The sources that are activations.</summary>
internal static class TokenSources
{
    /// <summary>The source of an activation, alone or times another input: the number's last bit says which.</summary>
    public static TokenSource Of(TokenActivation activation, bool isGated) =>
        TokenSource.FirstActivation + (2 * (int)activation) + (isGated ? 1 : 0);
}
