
namespace Zqfp.CudaOps;

/// <summary>What tells the matrix products apart: what comes in for the activations, what the weights are, how they are scaled.</summary>
/// <param name="Name">The operator's name.</param>
/// <param name="Weights">The format of the weights' codes.</param>
/// <param name="QuantizedActivations">True: inputs Xq (FP8 codes) and Sx. False: X in float or float16.</param>
/// <param name="PowerOfTwoScales">True: inputs E and S. False: one input of float scales.</param>
/// <param name="HasExperts">
/// True: an input Index behind the activations tells each row's expert, and every constant has a leading dimension of experts.
/// </param>
internal sealed record MatMulSignature(
    string Name, WeightFormat Weights, bool QuantizedActivations, bool PowerOfTwoScales, bool HasExperts = false)
{
    /// <summary>The matrix products of the domain.</summary>
    public static IReadOnlyList<MatMulSignature> All { get; } =
    [
        new(OperatorNames.MatMulW4A8, WeightFormat.E2M1, QuantizedActivations: true, PowerOfTwoScales: true),
        new(OperatorNames.MatMulW4A8Scaled, WeightFormat.E2M1, QuantizedActivations: true, PowerOfTwoScales: false),
        new(OperatorNames.MatMulW4A16, WeightFormat.E2M1, QuantizedActivations: false, PowerOfTwoScales: true),
        new(OperatorNames.MatMulW8A8, WeightFormat.E4M3, QuantizedActivations: true, PowerOfTwoScales: true),
        new(OperatorNames.MatMulW8A16, WeightFormat.E4M3, QuantizedActivations: false, PowerOfTwoScales: true),
    ];

    /// <summary>The same products for experts.</summary>
    public static IReadOnlyList<MatMulSignature> Experts { get; } =
        [.. All.Select(signature => signature with { Name = OperatorNames.ExpertPrefix + signature.Name, HasExperts = true })];

    /// <summary>The output as ONNX Runtime is told it: Y, whose type an attribute names.</summary>
    public static IReadOnlyList<OrtParameter> Outputs { get; } = [new OrtParameter("Y", OrtElementType.Undefined)];

    /// <summary>Position of Index; only with experts.</summary>
    public int IndexInput => QuantizedActivations ? 2 : 1;

    /// <summary>Position of W; what scales the activations, and what tells the expert, stands before it.</summary>
    public int WeightsInput => IndexInput + (HasExperts ? 1 : 0);

    /// <summary>Position of E, or of the float scales.</summary>
    public int ScalesInput => WeightsInput + 1;

    /// <summary>Position of S; only with power-of-two scales.</summary>
    public int RowScalesInput => WeightsInput + 2;

    /// <summary>Position of the bias; A and B follow it.</summary>
    public int BiasInput => ScalesInput + (PowerOfTwoScales ? 2 : 1);

    /// <summary>Position of the low-rank factor A.</summary>
    public int FactorAInput => BiasInput + 1;

    /// <summary>Position of the low-rank factor B.</summary>
    public int FactorBInput => BiasInput + 2;

    /// <summary>
    /// Position of Z, A's product with the codes where what quantized the tokens took it; only of dense products of codes.
    /// </summary>
    public int ProjectionInput => BiasInput + 3;

    /// <summary>Whether Z is one of the inputs.</summary>
    public bool TakesProjections => QuantizedActivations && !HasExperts;

    /// <summary>
    /// The inputs as ONNX Runtime is told them. W stays open, since FP4 codes come as FLOAT4E2M1 or as UINT4; the factors and
    /// the bias may be float or float16; the kernel checks them.
    /// </summary>
    public IReadOnlyList<OrtParameter> Inputs()
    {
        var inputs = new List<OrtParameter>();
        if (QuantizedActivations)
        {
            inputs.Add(new OrtParameter("Xq", OrtElementType.Float8E4M3FN));
            inputs.Add(new OrtParameter("Sx", OrtElementType.Float));
        }
        else
        {
            inputs.Add(new OrtParameter("X", OrtElementType.Undefined));
        }
        if (HasExperts)
        {
            inputs.Add(new OrtParameter("Index", OrtElementType.Int64));
        }
        inputs.Add(new OrtParameter("W", Weights == WeightFormat.E4M3 ? OrtElementType.Float8E4M3FN : OrtElementType.Undefined));
        if (PowerOfTwoScales)
        {
            inputs.Add(new OrtParameter("E", OrtElementType.UInt8));
            inputs.Add(new OrtParameter("S", OrtElementType.Float));
        }
        else
        {
            inputs.Add(new OrtParameter("Scales", OrtElementType.Float));
        }
        inputs.Add(new OrtParameter("bias", OrtElementType.Undefined, Optional: true));
        inputs.Add(new OrtParameter("A", OrtElementType.Undefined, Optional: true));
        inputs.Add(new OrtParameter("B", OrtElementType.Undefined, Optional: true));
        if (TakesProjections)
        {
            inputs.Add(new OrtParameter("Z", OrtElementType.Float, Optional: true));
        }
        return inputs;
    }

    /// <summary>True for an element type that W may have.</summary>
    public bool Accepts(OrtElementType weights) => Weights == WeightFormat.E4M3
        ? weights == OrtElementType.Float8E4M3FN
        : weights is OrtElementType.Float4E2M1 or OrtElementType.UInt4;
}
