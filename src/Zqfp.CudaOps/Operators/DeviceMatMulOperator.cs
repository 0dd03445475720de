
namespace Zqfp.CudaOps;

/// <summary>
/// A product of FP8 tokens with FP4 weights for sessions of the CPU provider, computed on the GPU: weights live there, tokens
/// and results are copied. For machines with a GPU whose ONNX Runtime has no CUDA provider.
/// </summary>
internal sealed class DeviceMatMulOperator(MatMulSignature signature, DeviceSession device) : OrtOperator
{
    public override string Name => signature.Name;

    public override IReadOnlyList<OrtParameter> Inputs { get; } = signature.Inputs();

    public override IReadOnlyList<OrtParameter> Outputs => MatMulSignature.Outputs;

    public override OrtKernel CreateKernel(in OrtKernelInfo info) => new Kernel(
        signature, device, DeviceMatMulLayer.Load(signature, device, info));

    public override void InferShapes(in OrtShapeInference inference) => MatMulShapes.Infer(signature, inference);

    private sealed class Kernel(MatMulSignature signature, DeviceSession device, DeviceMatMulLayer layer) : OrtKernel
    {
        public override void Compute(in OrtKernelContext context)
        {
            MatMulCall call = MatMulCall.Read(signature, context, layer.Rows, layer.Columns, layer.Output, layer.Projected);
            if (call.Tokens > 0 && layer.Linear is not null)
            {
                device.Multiply(
                    layer.Linear, call.X.AsSpan<byte>(), call.TokenScales.AsSpan<float>(),
                    layer.Projected > 0 ? call.Projections.AsSpan<float>() : [], call.Y.AsSpan<byte>());
            }
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                layer.Dispose();
            }
            base.Dispose(disposing);
        }
    }
}
