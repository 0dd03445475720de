namespace Zqfp.CudaOps;

/// <summary>The operators that quantize tokens, as kernels of an execution provider whose tensors lie on the device.</summary>
internal static class DeviceQuantization
{
    /// <summary>All of them.</summary>
    /// <param name="device">The provider's device.</param>
    /// <param name="provider">The provider; null for the CPU's.</param>
    public static IEnumerable<OrtOperator> Operators(DeviceSession device, string? provider) =>
    [
        new Plain(device, provider), new Norm(device, provider), new Gate(device, provider),
    ];

    /// <summary>What the kernels of one node share: its device, and the kernel that its last call was computed with.</summary>
    private abstract class Kernel : OrtKernel
    {
        private readonly DeviceSession _device;
        private readonly int _rotation;
        private readonly TokenSource _source;
        private TokenQuantization? _plan;

        protected Kernel(DeviceSession device, int rotation, TokenSource source)
        {
            device.Rent();
            _device = device;
            _rotation = rotation;
            _source = source;
        }

        protected void Launch(nint stream, OrtElementType type, int columns, nint input, in DeviceTokens tokens, in SourceArguments more)
        {
            if (tokens.Count == 0)
            {
                return;
            }

            ElementKind kind = type == OrtElementType.Float ? ElementKind.Float32 : ElementKind.Float16;
            TokenQuantization? plan = _plan;
            if (plan is null || plan.Columns != columns || plan.Kind != kind)
            {
                _plan = plan = _device.PlanQuantization(kind, columns, _rotation, _source);
            }

            _device.QuantizeInStream(stream, plan, (ulong)input, tokens, more);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _device.Return();
            }

            base.Dispose(disposing);
        }
    }

    private sealed class Plain(DeviceSession device, string? provider) : OrtOperator
    {
        public override string Name => OperatorNames.QuantizeTokens;

        public override string? ExecutionProvider => provider;

        public override IReadOnlyList<OrtParameter> Inputs => QuantizeTokensSignature.Inputs;

        public override IReadOnlyList<OrtParameter> Outputs => QuantizeTokensSignature.Outputs;

        public override OrtKernel CreateKernel(in OrtKernelInfo info) => new PlainKernel(device, TokenRotation.Read(info));

        public override void InferShapes(in OrtShapeInference inference) => QuantizeTokensSignature.Infer(inference);
    }

    private sealed class PlainKernel(DeviceSession device, TokenRotation rotation) : Kernel(device, rotation.Block, TokenSource.Input)
    {
        public override void Compute(in OrtKernelContext context)
        {
            QuantizeTokensCall call = QuantizeTokensCall.Read(context, rotation);
            var tokens = new DeviceTokens(call.Tokens, (ulong)call.Codes.DataPointer, (ulong)call.Scales.DataPointer);
            Launch(context.CudaStream, call.X.ElementType, call.Columns, call.X.DataPointer, tokens, default);
        }
    }

    private sealed class Norm(DeviceSession device, string? provider) : OrtOperator
    {
        public override string Name => OperatorNames.NormQuantizeTokens;

        public override string? ExecutionProvider => provider;

        public override IReadOnlyList<OrtParameter> Inputs => NormQuantizeTokensSignature.Inputs;

        public override IReadOnlyList<OrtParameter> Outputs => NormQuantizeTokensSignature.Outputs;

        public override OrtKernel CreateKernel(in OrtKernelInfo info) => new NormKernel(device, NormNode.Read(info));

        public override void InferShapes(in OrtShapeInference inference) => NormQuantizeTokensSignature.Infer(inference);
    }

    private sealed class NormKernel(DeviceSession device, NormNode node)
        : Kernel(device, node.Rotation.Block, node.IsCentered ? TokenSource.LayerNorm : TokenSource.RmsNorm)
    {
        public override void Compute(in OrtKernelContext context)
        {
            NormQuantizeTokensCall call = NormQuantizeTokensCall.Read(context, node);
            QuantizeTokensCall quantized = call.Tokens;
            var tokens = new DeviceTokens(
                quantized.Tokens, (ulong)quantized.Codes.DataPointer, (ulong)quantized.Scales.DataPointer);
            var more = new SourceArguments
            {
                Second = node.HasSkip ? (ulong)call.Skip.DataPointer : 0,
                Gain = (ulong)call.Gain.DataPointer,
                Shift = node.HasShift ? (ulong)call.Shift.DataPointer : 0,
                Sum = node.HasSum ? (ulong)call.Sum.DataPointer : 0,
                Epsilon = node.Epsilon,
            };
            Launch(context.CudaStream, quantized.X.ElementType, quantized.Columns, quantized.X.DataPointer, tokens, more);
        }
    }

    private sealed class Gate(DeviceSession device, string? provider) : OrtOperator
    {
        public override string Name => OperatorNames.GateQuantizeTokens;

        public override string? ExecutionProvider => provider;

        public override IReadOnlyList<OrtParameter> Inputs => GateQuantizeTokensSignature.Inputs;

        public override IReadOnlyList<OrtParameter> Outputs => QuantizeTokensSignature.Outputs;

        public override OrtKernel CreateKernel(in OrtKernelInfo info) =>
            new GateKernel(device, TokenRotation.Read(info), !info.HasInput(GateQuantizeTokensSignature.UpInput));

        public override void InferShapes(in OrtShapeInference inference) => GateQuantizeTokensSignature.Infer(inference);
    }

    private sealed class GateKernel(DeviceSession device, TokenRotation rotation, bool isPacked)
        : Kernel(device, rotation.Block, TokenSource.Gate)
    {
        public override void Compute(in OrtKernelContext context)
        {
            GateQuantizeTokensCall call = GateQuantizeTokensCall.Read(context, rotation, isPacked);
            var tokens = new DeviceTokens(call.Tokens, (ulong)call.Codes.DataPointer, (ulong)call.Scales.DataPointer);
            var more = new SourceArguments { Second = (ulong)call.Up, Stride = call.Stride };
            Launch(context.CudaStream, call.Type, call.Columns, call.Gate, tokens, more);
        }
    }
}
