
namespace Zqfp.CudaOps;

/// <summary>
/// The operators as kernels of an execution provider whose tensors lie on the device: they put work into the provider's stream
/// and return. Constants are asked for in host memory, where they are packed from.
/// </summary>
internal static class CudaProvider
{
    public const string Name = "CUDAExecutionProvider";

    /// <summary>The operators the GPU has kernels for.</summary>
    /// <param name="device">The provider's device.</param>
    /// <param name="provider">The provider they are registered for; null, the CPU's, for callers who bind device memory themselves.</param>
    public static IEnumerable<OrtOperator> Operators(DeviceSession device, string? provider) =>
    [
        .. DeviceQuantization.Operators(device, provider),
        .. MatMulSignature.All.Select(signature => new Product(signature, device, provider)),
        .. MatMulSignature.Experts.Select(signature => new DeviceExpertProduct(signature, device, provider)),
    ];

    /// <summary>Writes to the session's log, once, what its user should know of the device.</summary>
    public static void TellNote(DeviceSession device, in OrtKernelInfo info)
    {
        if (device.TakeNote() is { } note)
        {
            info.Warn(note);
        }
    }

    private sealed class Product(MatMulSignature signature, DeviceSession device, string? provider) : OrtOperator
    {
        public override string Name => signature.Name;

        public override string? ExecutionProvider => provider;

        public override IReadOnlyList<OrtParameter> Inputs { get; } =
            [.. signature.Inputs().Select((parameter, index) => parameter with
            {
                OnCpu = index >= signature.WeightsInput && (!signature.TakesProjections || index != signature.ProjectionInput),
            })];

        public override IReadOnlyList<OrtParameter> Outputs => MatMulSignature.Outputs;

        public override OrtKernel CreateKernel(in OrtKernelInfo info)
        {
            var layer = DeviceMatMulLayer.Load(signature, device, info);
            TellNote(device, info);
            return new ProductKernel(signature, device, layer);
        }

        public override void InferShapes(in OrtShapeInference inference) => MatMulShapes.Infer(signature, inference);
    }

    private sealed class ProductKernel(MatMulSignature signature, DeviceSession device, DeviceMatMulLayer layer) : OrtKernel
    {
        public override void Compute(in OrtKernelContext context)
        {
            MatMulCall call = MatMulCall.Read(signature, context, layer.Rows, layer.Columns, layer.Output, layer.Projected);
            if (call.Tokens > 0 && layer.Linear is not null)
            {
                bool isQuantized = signature.QuantizedActivations;
                var tokens = new DeviceTokens(
                    call.Tokens, (ulong)call.X.DataPointer, isQuantized ? (ulong)call.TokenScales.DataPointer : 0,
                    layer.Projected > 0 ? (ulong)call.Projections.DataPointer : 0);
                ElementKind? kind = isQuantized ? null
                    : call.X.ElementType == OrtElementType.Float ? ElementKind.Float32 : ElementKind.Float16;
                device.MultiplyInStream(context.CudaStream, layer.Linear, tokens, (ulong)call.Y.DataPointer, kind);
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
