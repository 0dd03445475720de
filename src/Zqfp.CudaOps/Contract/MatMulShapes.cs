
namespace Zqfp.CudaOps;

/// <summary>Y has X's leading dimensions and N, and the type <c>dtype</c> says.</summary>
internal static class MatMulShapes
{
    public static void Infer(MatMulSignature signature, in OrtShapeInference inference)
    {
        if (!inference.TryGetInput(0, out _, out IReadOnlyList<OrtDimension> x)
            || !inference.TryGetInput(signature.WeightsInput, out _, out IReadOnlyList<OrtDimension> weights))
        {
            return;
        }

        // Where the rule about a shape is broken the type is said all the same: the kernel then names the rule, where ONNX Runtime
        // would complain about a type that nobody gave.
        var type = (OrtElementType)inference.GetInt64(OperatorNames.OutputType, (long)OrtElementType.Float);
        OrtDimension rows = weights.Count == 2 ? weights[0] : new OrtDimension(null, null);
        inference.SetOutput(0, type, x.Count > 0 ? [.. x.Take(x.Count - 1), rows] : []);
    }
}
