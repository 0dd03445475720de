namespace Zqfp.CudaOps;

/// <summary>FP8 codes and a scale for activations of each token's values, on the CPU.</summary>
/// <param name="name">GateQuantizeTokens or ActivateQuantizeTokens.</param>
/// <param name="scratch">Working memory.</param>
/// <param name="math">Inner loops of products.</param>
internal sealed class ActivateQuantizeTokensOperator(string name, ScratchPool scratch, PanelMath math) : OrtOperator
{
    public override string Name => name;

    public override IReadOnlyList<OrtParameter> Inputs => GateQuantizeTokensSignature.Inputs;

    public override IReadOnlyList<OrtParameter> Outputs => QuantizeTokensSignature.Outputs;

    public override OrtKernel CreateKernel(in OrtKernelInfo info)
    {
        var node = ActivationNode.Read(info, name, out OrtTensorView factor);
        return new Kernel(scratch, node, TokenProjector.Create(node.Projection, factor, math, scratch));
    }

    public override void InferShapes(in OrtShapeInference inference) => GateQuantizeTokensSignature.Infer(inference, name);

    private sealed unsafe class Kernel(ScratchPool scratch, ActivationNode node, TokenProjector? projector) : OrtKernel
    {
        /// <summary>Nanoseconds that a core takes about for an element.</summary>
        private const double ElementCost = 1.5;

        public override void Compute(in OrtKernelContext context)
        {
            ActivateQuantizeTokensCall call = ActivateQuantizeTokensCall.Read(context, node);
            var rows = new Rows
            {
                Scratch = scratch,
                Activation = node.Activation,
                Gate = call.Gate,
                Up = call.Up,
                Codes = (byte*)call.Codes.DataPointer,
                Scales = (float*)call.Scales.DataPointer,
                Projector = projector,
                Projections = projector is null ? null : (float*)call.Projections.DataPointer,
                Columns = call.Columns,
                Stride = call.Stride,
                Rotation = node.Rotation.Block,
                IsHalf = call.Type == OrtElementType.Float16,
            };
            double elementCost = ElementCost + (node.Projection.Rank * TokenProjector.ElementCost);
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
            public TokenActivation Activation;
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
                if (Up != 0)
                {
                    TokenValues.Read(Up, IsHalf, start, up, Columns);
                }

                TokenActivations.Apply(Activation, row, Up == 0 ? null : up, Columns);
                Scales[index] = TokenValues.Quantize(row, IsHalf, Rotation, Codes + ((long)index * Columns), Columns);
                Scratch.Return(buffer);
                Projector?.Project(Codes + ((long)index * Columns), Projections, index);
            }
        }
    }
}
