namespace Zqfp.OnnxRewriter;

/// <summary>What is made fewer, larger operators when a model is written.</summary>
internal enum OperatorFusion
{
    /// <summary>Nothing: a node for each layer and for each value that is quantized.</summary>
    None,

    /// <summary>
    /// Products of one input become one; norms and activations quantize what they make. For GPUs, where each kernel costs
    /// microseconds.
    /// </summary>
    All,
}
