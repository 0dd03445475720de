namespace Zqfp.CudaOps;

/// <summary>The operators that quantize tokens, as kernels of an execution provider whose tensors lie on the device.</summary>
internal static class DeviceQuantization
{
    /// <summary>All of them.</summary>
    /// <param name="device">The provider's device.</param>
    /// <param name="provider">The provider; null for the CPU's.</param>
    public static IEnumerable<OrtOperator> Operators(DeviceSession device, string? provider) =>
    [
        new Plain(device, provider), new Norm(device, provider),
        .. GateQuantizeTokensSignature.Names.Select(name => new Activate(name, device, provider)),
    ];

    private static IReadOnlyList<OrtParameter> WithFactorOnHost(IReadOnlyList<OrtParameter> inputs) =>
        [.. inputs.Select(input => input == ProjectionShape.Factor ? input with { OnCpu = true } : input)];

    /// <summary>What the kernels of one node share: its device, and the kernel that its last call was computed with.</summary>
    private abstract class Kernel : OrtKernel
    {
        private readonly DeviceSession _device;
        private readonly int _rotation;
        private readonly TokenSource _source;
        private readonly DeviceFactor? _factor;
        private TokenQuantization? _plan;

        protected Kernel(DeviceSession device, int rotation, TokenSource source, ProjectionShape projection, in OrtTensorView factor)
        {
            device.Rent();
            _device = device;
            _rotation = rotation;
            _source = source;
            Projection = projection;
            try
            {
                _factor = projection.IsNone ? null : Load(device, projection.Rank, factor);
            }
            catch
            {
                device.Return();
                throw;
            }
        }

        /// <summary>What the codes are multiplied with.</summary>
        protected ProjectionShape Projection { get; }

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
                _plan = plan = _device.PlanQuantization(kind, columns, _rotation, _source, _factor);
            }

            _device.QuantizeInStream(stream, plan, (ulong)input, tokens, more);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                if (_factor is not null)
                {
                    _device.Unload(_factor);
                }

                _device.Return();
            }

            base.Dispose(disposing);
        }

        /// <summary>Where a tensor lies; 0 for an absent one.</summary>
        protected static ulong Address(in OrtTensorView view) => view.IsPresent ? (ulong)view.DataPointer : 0;

        private static unsafe DeviceFactor Load(DeviceSession device, int rank, in OrtTensorView factor)
        {
            using NativeBuffer values = Require.Floats(factor, "A");
            Half[] halves = new Half[factor.ElementCount];
            fixed (Half* target = halves)
            {
                HalfConversion.ToHalf(values.Floats, target, halves.Length);
            }

            return device.Load(halves, rank);
        }
    }

    private sealed class Plain(DeviceSession device, string? provider) : OrtOperator
    {
        public override string Name => OperatorNames.QuantizeTokens;

        public override string? ExecutionProvider => provider;

        public override IReadOnlyList<OrtParameter> Inputs { get; } = WithFactorOnHost(QuantizeTokensSignature.Inputs);

        public override IReadOnlyList<OrtParameter> Outputs => QuantizeTokensSignature.Outputs;

        public override OrtKernel CreateKernel(in OrtKernelInfo info)
        {
            var projection = ProjectionShape.Read(
                info, QuantizeTokensSignature.FactorInput, QuantizeTokensSignature.ProjectionOutput, out OrtTensorView factor);
            return new PlainKernel(device, TokenRotation.Read(info), projection, factor);
        }

        public override void InferShapes(in OrtShapeInference inference) => QuantizeTokensSignature.Infer(inference);
    }

    private sealed class PlainKernel(DeviceSession device, TokenRotation rotation, ProjectionShape projection, OrtTensorView factor)
        : Kernel(device, rotation.Block, TokenSource.Input, projection, factor)
    {
        public override void Compute(in OrtKernelContext context)
        {
            QuantizeTokensCall call = QuantizeTokensCall.Read(context, rotation, Projection);
            var tokens = new DeviceTokens(
                call.Tokens, (ulong)call.Codes.DataPointer, (ulong)call.Scales.DataPointer, Address(call.Projections));
            Launch(context.CudaStream, call.X.ElementType, call.Columns, call.X.DataPointer, tokens, default);
        }
    }

    private sealed class Norm(DeviceSession device, string? provider) : OrtOperator
    {
        public override string Name => OperatorNames.NormQuantizeTokens;

        public override string? ExecutionProvider => provider;

        public override IReadOnlyList<OrtParameter> Inputs { get; } = WithFactorOnHost(NormQuantizeTokensSignature.Inputs);

        public override IReadOnlyList<OrtParameter> Outputs => NormQuantizeTokensSignature.Outputs;

        public override OrtKernel CreateKernel(in OrtKernelInfo info)
        {
            var node = NormNode.Read(info, out OrtTensorView factor);
            bool hasConstants = info.ConstantInput(NormQuantizeTokensSignature.GainInput).IsPresent
                && (!node.HasShift || info.ConstantInput(NormQuantizeTokensSignature.ShiftInput).IsPresent);
            return new NormKernel(device, node, hasConstants, factor);
        }

        public override void InferShapes(in OrtShapeInference inference) => NormQuantizeTokensSignature.Infer(inference);
    }

    private sealed class NormKernel(DeviceSession device, NormNode node, bool hasConstants, OrtTensorView factor)
        : Kernel(device, node.Rotation.Block, node.IsCentered ? TokenSource.LayerNorm : TokenSource.RmsNorm, node.Projection, factor)
    {
        public override void Compute(in OrtKernelContext context)
        {
            NormQuantizeTokensCall call = NormQuantizeTokensCall.Read(context, node);
            QuantizeTokensCall quantized = call.Tokens;
            var tokens = new DeviceTokens(
                quantized.Tokens, (ulong)quantized.Codes.DataPointer, (ulong)quantized.Scales.DataPointer,
                Address(quantized.Projections));
            var more = new SourceArguments
            {
                Second = node.HasSkip ? (ulong)call.Skip.DataPointer : 0,
                Gain = (ulong)call.Gain.DataPointer,
                Shift = node.HasShift ? (ulong)call.Shift.DataPointer : 0,
                Sum = node.HasSum ? (ulong)call.Sum.DataPointer : 0,
                Epsilon = node.Epsilon,
                Constants = hasConstants ? 1 : 0,
            };
            Launch(context.CudaStream, quantized.X.ElementType, quantized.Columns, quantized.X.DataPointer, tokens, more);
        }
    }

    private sealed class Activate(string name, DeviceSession device, string? provider) : OrtOperator
    {
        public override string Name => name;

        public override string? ExecutionProvider => provider;

        public override IReadOnlyList<OrtParameter> Inputs { get; } = WithFactorOnHost(GateQuantizeTokensSignature.Inputs);

        public override IReadOnlyList<OrtParameter> Outputs => QuantizeTokensSignature.Outputs;

        public override OrtKernel CreateKernel(in OrtKernelInfo info)
        {
            var node = ActivationNode.Read(info, name, out OrtTensorView factor);
            return new ActivateKernel(device, node, factor);
        }

        public override void InferShapes(in OrtShapeInference inference) => GateQuantizeTokensSignature.Infer(inference, name);
    }

    private sealed class ActivateKernel(DeviceSession device, ActivationNode node, OrtTensorView factor)
        : Kernel(device, node.Rotation.Block, TokenSources.Of(node.Activation, node.IsGated), node.Projection, factor)
    {
        public override void Compute(in OrtKernelContext context)
        {
            ActivateQuantizeTokensCall call = ActivateQuantizeTokensCall.Read(context, node);
            var tokens = new DeviceTokens(
                call.Tokens, (ulong)call.Codes.DataPointer, (ulong)call.Scales.DataPointer, Address(call.Projections));
            var more = new SourceArguments { Second = (ulong)call.Up, Stride = call.Stride };
            Launch(context.CudaStream, call.Type, call.Columns, call.Gate, tokens, more);
        }
    }
}
