using Zqfp.OnnxRuntime;
using Zqfp.OnnxRuntime.Operators;

namespace Zqfp.CudaOps.Operators;

/// <summary>Y has X's leading dimensions and N, and the type <c>dtype</c> says.</summary>
internal static class MatMulShapes
{
    public static void Infer(MatMulSignature signature, in OrtShapeInference inference)
    {
        if (inference.TryGetInput(0, out _, out IReadOnlyList<OrtDimension> x)
            && inference.TryGetInput(signature.WeightsInput, out _, out IReadOnlyList<OrtDimension> weights)
            && x.Count > 0
            && weights.Count == 2)
        {
            var type = (OrtElementType)inference.GetInt64(OperatorNames.OutputType, (long)OrtElementType.Float);
            inference.SetOutput(0, type, [.. x.Take(x.Count - 1), weights[0]]);
        }
    }
}
