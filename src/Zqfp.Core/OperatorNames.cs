namespace Zqfp;

/// <summary>
/// Names a model uses to call the operators. They are specified in <c>docs/operators.md</c>; a change of meaning gets a new name,
/// since ONNX Runtime does not tell versions of a custom operator apart.
/// </summary>
internal static class OperatorNames
{
    /// <summary>The operators' domain.</summary>
    public const string Domain = "zqfp";

    /// <summary>The domain's version in a model's opset imports.</summary>
    public const int DomainVersion = 1;

    /// <summary><c>(X, A?) -> Xq, Sx, Z?</c>: FP8 codes and one scale per token, and A's product with the codes.</summary>
    public const string QuantizeTokens = "QuantizeTokens";

    /// <summary><c>(X, gain, skip?, shift?, A?) -> Xq, Sx, sum?, Z?</c>: QuantizeTokens of the RMS or layer norm of X (+ skip).</summary>
    public const string NormQuantizeTokens = "NormQuantizeTokens";

    /// <summary><c>(gate, up?, A?) -> Xq, Sx, Z?</c>: QuantizeTokens of SiLU(gate) times up; without up, of gate's halves.</summary>
    public const string GateQuantizeTokens = "GateQuantizeTokens";

    /// <summary><c>(X, up?, A?) -> Xq, Sx, Z?</c>: QuantizeTokens of an activation of X, times up where there is one.</summary>
    public const string ActivateQuantizeTokens = "ActivateQuantizeTokens";

    /// <summary><c>(Xq, Sx, W, E, S, bias?, A?, B?, Z?) -> Y</c>: FP4 weights under power-of-two group scales, FP8 activations.</summary>
    public const string MatMulW4A8 = "MatMulW4A8";

    /// <summary><c>(Xq, Sx, W, Scales, bias?, A?, B?, Z?) -> Y</c>: FP4 weights under free group scales, FP8 activations.</summary>
    public const string MatMulW4A8Scaled = "MatMulW4A8Scaled";

    /// <summary><c>(X, W, E, S, bias?, A?, B?) -> Y</c>: FP4 weights under power-of-two group scales, activations as they are.</summary>
    public const string MatMulW4A16 = "MatMulW4A16";

    /// <summary><c>(Xq, Sx, W, E, S, bias?, A?, B?, Z?) -> Y</c>: FP8 weights under power-of-two group scales, FP8 activations.</summary>
    public const string MatMulW8A8 = "MatMulW8A8";

    /// <summary><c>(X, W, E, S, bias?, A?, B?) -> Y</c>: FP8 weights under power-of-two group scales, activations as they are.</summary>
    public const string MatMulW8A16 = "MatMulW8A16";

    /// <summary>Kernels take so many rows of A at once: what is given to an operator that quantizes is a multiple of it.</summary>
    public const int RankStep = 8;

    /// <summary>What stands before the name of a product in that of its form for experts.</summary>
    public const string ExpertPrefix = "Expert";

    /// <summary>
    /// <c>(X, Index, W, bias?) -> Y</c>: the product of each row with the weight of one of several experts, in floating point.
    /// </summary>
    public const string ExpertMatMul = ExpertPrefix + "MatMul";

    /// <summary><c>(X) -> Y</c>: rounds each token to a format and back.</summary>
    public const string RoundTokens = "RoundTokens";

    /// <summary><c>(X) -> Y</c>: multiplies each block of a token's values by the normalized Hadamard matrix.</summary>
    public const string RotateTokens = "RotateTokens";

    /// <summary>Attribute, integer: columns of W that share a scale; the last group of a row may be shorter.</summary>
    public const string GroupSize = "group_size";

    /// <summary>Attribute, integer: the output's element type as ONNX numbers it, 1 (float, the default) or 10 (float16).</summary>
    public const string OutputType = "dtype";

    /// <summary>Attribute of <see cref="ExpertMatMul"/>, integer: 1 where W is [E, K, N], 0 (the default) where it is [E, N, K].</summary>
    public const string InputMajor = "input_major";

    /// <summary>Attribute of <see cref="RoundTokens"/>, text: <c>fp8_e4m3</c>, <c>fp8_e5m2</c> or <c>int8</c>.</summary>
    public const string Format = "format";

    /// <summary>
    /// Attribute of <see cref="QuantizeTokens"/> and <see cref="RotateTokens"/>, integer: values of a block that are rotated together,
    /// a power of two from 2 to 256 that divides K, or 0 (the default) for no rotation.
    /// </summary>
    public const string Rotation = "rotation";

    /// <summary>Attribute of <see cref="NormQuantizeTokens"/>, float: what is added to the mean of the squares.</summary>
    public const string Epsilon = "epsilon";

    /// <summary>Attribute of <see cref="NormQuantizeTokens"/>, integer: 1 for a layer norm, 0 (the default) for an RMS norm.</summary>
    public const string Centered = "centered";

    /// <summary>Attribute of <see cref="ActivateQuantizeTokens"/>, integer, required: one of <see cref="TokenActivation"/>.</summary>
    public const string Activation = "activation";

    /// <summary>Attribute of <see cref="ActivateQuantizeTokens"/>, integer: 1 where the second half of X is up, 0 (the default).</summary>
    public const string Packed = "packed";

    /// <summary>The domain of ONNX Runtime's own operators beside ONNX.</summary>
    public const string MicrosoftDomain = "com.microsoft";

    /// <summary>ONNX Runtime's product with weights of 2, 4 or 8 bits.</summary>
    public const string MatMulNBits = "MatMulNBits";
}
