namespace Zqfp.OnnxRewriter;

/// <summary>
/// In which operators a quantized model is written. All profiles have the same weights; all but <see cref="Stock"/> round activations
/// alike.
/// </summary>
internal enum EmissionProfile
{
    /// <summary>FP4 initializers and the operators of domain <c>zqfp</c>.</summary>
    Custom,

    /// <summary>
    /// 8-bit <c>com.microsoft.MatMulNBits</c>, which holds FP4 weights exactly: any ONNX Runtime runs it fast, without our operators. The
    /// file has 8 bits for a weight, and activations are rounded as the operator's accuracy level says.
    /// </summary>
    Stock,

    /// <summary>
    /// The same operators with 4-bit integer initializers and function bodies of standard operators: any ONNX Runtime runs it.
    /// </summary>
    Portable,

    /// <summary>Standard ONNX only: blocked DequantizeLinear of FP4 weights.</summary>
    Qdq,

    /// <summary>
    /// Float weights of the quantized values and the operator RoundTokens: for measuring formats that have no operator. It saves
    /// nothing, and is marked as a simulation.
    /// </summary>
    Simulated,
}

/// <summary>The names of profiles.</summary>
internal static class EmissionProfileNames
{
    /// <summary>The profile's name in options, file names and properties.</summary>
    public static string Name(this EmissionProfile profile) => profile switch
    {
        EmissionProfile.Custom => "custom",
        EmissionProfile.Stock => "stock",
        EmissionProfile.Portable => "portable",
        EmissionProfile.Simulated => "simulated",
        _ => "qdq",
    };
}
