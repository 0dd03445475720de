namespace Zqfp.CudaOps;

/// <summary>FP8 codes and a scale for each token, on the CPU.</summary>
internal sealed class QuantizeTokensOperator(ScratchPool scratch, PanelMath math) : OrtOperator
{
    public override string Name => OperatorNames.QuantizeTokens;

    public override IReadOnlyList<OrtParameter> Inputs => QuantizeTokensSignature.Inputs;

    public override IReadOnlyList<OrtParameter> Outputs => QuantizeTokensSignature.Outputs;

    public override OrtKernel CreateKernel(in OrtKernelInfo info)
    {
        var rotation = TokenRotation.Read(info);
        var shape = ProjectionShape.Read(
            info, QuantizeTokensSignature.FactorInput, QuantizeTokensSignature.ProjectionOutput, out OrtTensorView factor);
        return new Kernel(scratch, rotation, shape, TokenProjector.Create(shape, factor, math, scratch));
    }

    public override void InferShapes(in OrtShapeInference inference) => QuantizeTokensSignature.Infer(inference);

    private sealed unsafe class Kernel(ScratchPool scratch, TokenRotation rotation, ProjectionShape shape, TokenProjector? projector)
        : OrtKernel
    {
        /// <summary>Nanoseconds that a core takes about for an element, and for its rotation.</summary>
        private const double ElementCost = 0.35, RotationCost = 0.15;

        public override void Compute(in OrtKernelContext context)
        {
            QuantizeTokensCall call = QuantizeTokensCall.Read(context, rotation, shape);
            bool isHalf = call.X.ElementType == OrtElementType.Float16;
            var (codes, scales) = (call.Codes.DataPointer, call.Scales.DataPointer);
            float* projections = projector is null ? null : (float*)call.Projections.DataPointer;
            var rows = new Rows(
                scratch, rotation.Block, call.X.DataPointer, isHalf, (byte*)codes, (float*)scales, call.Columns, projector, projections);
            double elementCost = (rotation.IsNone ? ElementCost : ElementCost + RotationCost) + (shape.Rank * TokenProjector.ElementCost);
            KernelLoop.Run(context, call.Tokens, rows, (double)call.Tokens * call.Columns * elementCost);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                projector?.Dispose();
            }

            base.Dispose(disposing);
        }

        private readonly struct Rows(ScratchPool scratch, int block, nint x, bool isHalf, byte* codes, float* scales, int columns,
            TokenProjector? projector, float* projections)
            : IParallelBody
        {
            public void Run(int index)
            {
                Quantize(index);
                projector?.Project(codes + ((long)index * columns), projections, index);
            }

            private void Quantize(int index)
            {
                long start = (long)index * columns;
                NativeBuffer buffer = scratch.Rent((long)columns * sizeof(float));
                scales[index] = TokenQuantizer.Quantize(x, isHalf, start, block, buffer.Floats, codes + start, columns);
                scratch.Return(buffer);
            }
        }
    }
}
