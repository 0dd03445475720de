
namespace Zqfp.CudaOps;

/// <summary>One of the matrix products, on the CPU.</summary>
internal sealed class MatMulOperator(MatMulSignature signature, ScratchPool scratch, InnerLoops loops) : OrtOperator
{
    public override string Name => signature.Name;

    public override IReadOnlyList<OrtParameter> Inputs { get; } = signature.Inputs();

    public override IReadOnlyList<OrtParameter> Outputs => MatMulSignature.Outputs;

    public override OrtKernel CreateKernel(in OrtKernelInfo info)
    {
        MatMulLayer layer = MatMulLayer.Read(signature, info);
        return MatMulKernel.Create(signature, layer, scratch, loops);
    }

    public override void InferShapes(in OrtShapeInference inference) => MatMulShapes.Infer(signature, inference);
}
