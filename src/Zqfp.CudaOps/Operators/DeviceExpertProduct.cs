namespace Zqfp.CudaOps;

/// <summary>One of the products for experts as a kernel of an execution provider whose tensors lie on the device.</summary>
/// <param name="signature">The operator.</param>
/// <param name="device">The provider's device.</param>
/// <param name="provider">The provider; null, the CPU's, for callers who bind device memory themselves.</param>
internal sealed class DeviceExpertProduct(MatMulSignature signature, DeviceSession device, string? provider) : OrtOperator
{
    public override string Name => signature.Name;

    public override string? ExecutionProvider => provider;

    public override IReadOnlyList<OrtParameter> Inputs { get; } =
        [.. signature.Inputs().Select((parameter, index) => parameter with { OnCpu = index >= signature.WeightsInput })];

    public override IReadOnlyList<OrtParameter> Outputs => MatMulSignature.Outputs;

    public override OrtKernel CreateKernel(in OrtKernelInfo info)
    {
        ExpertConstants constants = ExpertConstants.Read(signature, info);
        if (constants.Experts == 0 || constants.Rows == 0 || constants.Layout.Columns == 0)
        {
            throw new ZqfpException(
                "ZQFP4006", "W must have at least one expert, row and column on the GPU; run the operators on the processor.");
        }

        var experts = new LinearConstants[constants.Experts];
        for (int e = 0; e < experts.Length; e++)
        {
            bool isPowerOfTwo = signature.PowerOfTwoScales;
            experts[e] = new LinearConstants(
                constants.Rows, constants.Layout.Columns, constants.Layout.GroupSize, constants.Codes(e, signature.Weights).ToArray(),
                isPowerOfTwo ? constants.Part<byte>(constants.Scales, e).ToArray() : default,
                isPowerOfTwo ? constants.Part<float>(constants.RowScales, e).ToArray() : default,
                isPowerOfTwo ? default : constants.Part<float>(constants.Scales, e).ToArray(),
                constants.Floats(constants.Bias, e, "bias"), constants.Floats(constants.FactorA, e, "A"),
                constants.Floats(constants.FactorB, e, "B"), constants.Rank, signature.Weights, signature.QuantizedActivations);
        }

        _ = ZqfpSessionOptions.WeightsOf(info); // experts stay packed, and a form that does not exist is told all the same
        var kernel = new Kernel(signature, device, experts, constants.OutputType);
        CudaProvider.TellNote(device, info);
        return kernel;
    }

    public override void InferShapes(in OrtShapeInference inference) => ExpertShapes.Infer(
        inference, signature.IndexInput, signature.WeightsInput,
        (OrtElementType)inference.GetInt64(OperatorNames.OutputType, (long)OrtElementType.Float));

    private sealed class Kernel : OrtKernel
    {
        private readonly MatMulSignature _signature;
        private readonly DeviceSession _device;
        private readonly int _rows;
        private readonly int _columns;
        private readonly DeviceExperts _experts;

        public Kernel(MatMulSignature signature, DeviceSession device, LinearConstants[] experts, OrtElementType output)
        {
            (_signature, _device, _rows, _columns) = (signature, device, experts[0].Rows, experts[0].Columns);
            device.Rent();
            try
            {
                ElementKind kind = output == OrtElementType.Float ? ElementKind.Float32 : ElementKind.Float16;
                _experts = device.Load(experts, kind);
            }
            catch
            {
                device.Return();
                throw;
            }
        }

        public override void Compute(in OrtKernelContext context)
        {
            OrtTensorView x = context.Input(0);
            OrtTensorView index = context.Input(_signature.IndexInput);
            int tokens = ExpertShapes.Tokens(x, _columns), count = ExpertShapes.Count(index, tokens);
            if (count == 0)
            {
                _ = ExpertShapes.Output(context, index, _rows);
                return;
            }

            ulong scales = 0;
            ElementKind? kind = null;
            if (_signature.QuantizedActivations)
            {
                scales = (ulong)ExpertShapes.Scales(context.Input(1), tokens).DataPointer;
            }
            else
            {
                Require.Type(x, "X", OrtElementType.Float, OrtElementType.Float16);
                kind = x.ElementType == OrtElementType.Float ? ElementKind.Float32 : ElementKind.Float16;
            }

            OrtTensorView y = ExpertShapes.Output(context, index, _rows);
            _device.MultiplyInStream(
                context.CudaStream, _experts, new DeviceTokens(tokens, (ulong)x.DataPointer, scales), (ulong)index.DataPointer, count,
                (ulong)y.DataPointer, kind);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _device.Unload(_experts);
                _device.Return();
            }

            base.Dispose(disposing);
        }
    }
}
