using Zqfp.CudaOps.Cpu;
using Zqfp.CudaOps.Cuda;
using Zqfp.OnnxRuntime;
using Zqfp.OnnxRuntime.Operators;

namespace Zqfp.CudaOps.Operators;

/// <summary>
/// A product of FP8 tokens with FP4 weights for sessions of the CPU provider, computed on the GPU: weights live there, tokens
/// and results are copied. For machines with a GPU whose ONNX Runtime has no CUDA provider.
/// </summary>
internal sealed class DeviceMatMulOperator(MatMulSignature signature, DeviceSession device) : OrtOperator
{
    public override string Name => signature.Name;

    public override IReadOnlyList<OrtParameter> Inputs { get; } = signature.Inputs();

    public override IReadOnlyList<OrtParameter> Outputs { get; } = [new OrtParameter("Y", OrtElementType.Undefined)];

    /// <summary>Whether the GPU has kernels for an operator of the domain.</summary>
    public static bool Computes(MatMulSignature signature) => signature.QuantizedActivations && signature.Weights == WeightFormat.E2M1;

    public override OrtKernel CreateKernel(in OrtKernelInfo info)
    {
        MatMulConstants constants = MatMulConstants.Read(signature, info);
        if (constants.Layout.Columns == 0)
        {
            throw new OperatorException("K must be at least 1 on the GPU; run the operators on the processor.");
        }

        var linear = new LinearConstants(
            constants.Rows,
            constants.Layout.Columns,
            constants.Layout.GroupSize,
            constants.Weights.AsSpan<byte>().ToArray(),
            signature.PowerOfTwoScales ? constants.Scales.AsSpan<byte>().ToArray() : default,
            signature.PowerOfTwoScales ? constants.RowScales.AsSpan<float>().ToArray() : default,
            signature.PowerOfTwoScales ? default : constants.Scales.AsSpan<float>().ToArray(),
            Floats(constants.Bias, "bias"),
            constants.Rank == 0 ? default : Floats(constants.FactorA, "A"),
            constants.Rank == 0 ? default : Floats(constants.FactorB, "B"),
            constants.Rank);
        device.Rent();
        try
        {
            return new Kernel(signature, device, linear.Rows == 0 ? null : device.Load(linear), linear, constants.OutputType);
        }
        catch
        {
            device.Return();
            throw;
        }
    }

    public override void InferShapes(in OrtShapeInference inference) => MatMulShapes.Infer(signature, inference);

    private static unsafe float[] Floats(in OrtTensorView view, string name)
    {
        if (!view.IsPresent)
        {
            return [];
        }
        using NativeBuffer values = Require.Floats(view, name);
        return new ReadOnlySpan<float>(values.Floats, checked((int)view.ElementCount)).ToArray();
    }

    private sealed class Kernel(MatMulSignature signature, DeviceSession device, DeviceLinear? layer, LinearConstants constants, OrtElementType outputType) : OrtKernel
    {
        private readonly int _rows = constants.Rows;
        private readonly int _columns = constants.Columns;

        public override void Compute(in OrtKernelContext context)
        {
            MatMulCall call = MatMulCall.Read(signature, context, _rows, _columns);
            if (call.Tokens > 0 && layer is not null)
            {
                ElementKind kind = outputType == OrtElementType.Float ? ElementKind.Float32 : ElementKind.Float16;
                device.Multiply(layer, call.X.AsSpan<byte>(), call.TokenScales.AsSpan<float>(), call.Y.AsSpan<byte>(), kind);
            }
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                if (layer is not null)
                {
                    device.Unload(layer);
                }
                device.Return();
            }
            base.Dispose(disposing);
        }
    }
}
