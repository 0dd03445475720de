namespace Zqfp.CudaOps;

/// <summary>
/// One of the products for experts, on the CPU: rows are sorted by expert, and each expert's rows are one product with its weight.
/// </summary>
internal sealed class ExpertMatMulOperator(MatMulSignature signature, ScratchPool scratch, InnerLoops loops) : OrtOperator
{
    public override string Name => signature.Name;

    public override IReadOnlyList<OrtParameter> Inputs { get; } = signature.Inputs();

    public override IReadOnlyList<OrtParameter> Outputs => MatMulSignature.Outputs;

    public override OrtKernel CreateKernel(in OrtKernelInfo info)
    {
        MatMulLayer[] layers = ExpertLayers.Pack(signature, ExpertConstants.Read(signature, info));
        return new Kernel(signature, scratch, [.. layers.Select(layer => MatMulKernel.Create(signature, layer, scratch, loops))],
            layers.Length == 0 ? 0 : layers[0].Weights.Rows, layers.Length == 0 ? 0 : layers[0].Weights.Layout.Columns);
    }

    public override void InferShapes(in OrtShapeInference inference) => ExpertShapes.Infer(
        inference, signature.IndexInput, signature.WeightsInput,
        (OrtElementType)inference.GetInt64(OperatorNames.OutputType, (long)OrtElementType.Float));

    private sealed unsafe class Kernel(MatMulSignature signature, ScratchPool scratch, MatMulKernel[] experts, int rows, int columns)
        : OrtKernel
    {
        public override void Compute(in OrtKernelContext context)
        {
            OrtTensorView x = context.Input(0);
            int tokens = ExpertShapes.Tokens(x, columns);
            OrtTensorView tokenScales = signature.QuantizedActivations ? ExpertShapes.Scales(context.Input(1), tokens) : default;
            if (!signature.QuantizedActivations)
            {
                Require.Type(x, "X", OrtElementType.Float, OrtElementType.Float16);
            }

            OrtTensorView index = context.Input(signature.IndexInput);
            var all = new TokenRows
            {
                X = x.DataPointer,
                XType = x.ElementType,
                TokenScales = tokenScales.IsPresent ? (float*)tokenScales.DataPointer : null,
                Y = ExpertShapes.Output(context, index, rows).DataPointer,
            };
            using var sorted = new ExpertRows(scratch, index, tokens, experts.Length);
            for (int expert = 0; expert < experts.Length; expert++)
            {
                experts[expert].Multiply(context, sorted.Of(expert, all));
            }
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                Array.ForEach(experts, expert => expert.Dispose());
            }

            base.Dispose(disposing);
        }
    }
}
