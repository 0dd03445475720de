namespace Zqfp.CudaOps;

/// <summary>FP8 codes and a scale for the gated values of each token, on the CPU.</summary>
internal sealed class GateQuantizeTokensOperator(ScratchPool scratch, PanelMath math) : OrtOperator
{
    public override string Name => OperatorNames.GateQuantizeTokens;

    public override IReadOnlyList<OrtParameter> Inputs => GateQuantizeTokensSignature.Inputs;

    public override IReadOnlyList<OrtParameter> Outputs => QuantizeTokensSignature.Outputs;

    public override OrtKernel CreateKernel(in OrtKernelInfo info)
    {
        var rotation = TokenRotation.Read(info);
        var shape = ProjectionShape.Read(
            info, GateQuantizeTokensSignature.FactorInput, QuantizeTokensSignature.ProjectionOutput, out OrtTensorView factor);
        bool isPacked = !info.HasInput(GateQuantizeTokensSignature.UpInput);
        return new Kernel(scratch, rotation, shape, TokenProjector.Create(shape, factor, math, scratch), isPacked);
    }

    public override void InferShapes(in OrtShapeInference inference) => GateQuantizeTokensSignature.Infer(inference);

    private sealed unsafe class Kernel(
        ScratchPool scratch, TokenRotation rotation, ProjectionShape shape, TokenProjector? projector, bool isPacked) : OrtKernel
    {
        /// <summary>Nanoseconds that a core takes about for an element.</summary>
        private const double ElementCost = 1.5;

        public override void Compute(in OrtKernelContext context)
        {
            GateQuantizeTokensCall call = GateQuantizeTokensCall.Read(context, rotation, shape, isPacked);
            var rows = new Rows
            {
                Scratch = scratch,
                Gate = call.Gate,
                Up = call.Up,
                Codes = (byte*)call.Codes.DataPointer,
                Scales = (float*)call.Scales.DataPointer,
                Projector = projector,
                Projections = projector is null ? null : (float*)call.Projections.DataPointer,
                Columns = call.Columns,
                Stride = call.Stride,
                Rotation = rotation.Block,
                IsHalf = call.Type == OrtElementType.Float16,
            };
            double elementCost = ElementCost + (shape.Rank * TokenProjector.ElementCost);
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

        private struct Rows : IParallelBody
        {
            public ScratchPool Scratch;
            public nint Gate, Up;
            public byte* Codes;
            public float* Scales;
            public TokenProjector? Projector;
            public float* Projections;
            public int Columns, Stride, Rotation;
            public bool IsHalf;

            public readonly void Run(int index)
            {
                long start = (long)index * Stride;
                NativeBuffer buffer = Scratch.Rent(2L * Columns * sizeof(float));
                float* row = buffer.Floats;
                float* up = row + Columns;
                TokenValues.Read(Gate, IsHalf, start, row, Columns);
                TokenValues.Read(Up, IsHalf, start, up, Columns);
                TokenGate.Apply(row, up, Columns);
                Scales[index] = TokenValues.Quantize(row, (Half*)up, IsHalf, Rotation, Codes + ((long)index * Columns), Columns);
                Scratch.Return(buffer);
                Projector?.Project(Codes + ((long)index * Columns), Projections, index);
            }
        }
    }
}
