namespace Zqfp.CudaOps;

/// <summary>FP8 codes and a scale for the norm of each token, on the CPU.</summary>
internal sealed class NormQuantizeTokensOperator(ScratchPool scratch, PanelMath math) : OrtOperator
{
    public override string Name => OperatorNames.NormQuantizeTokens;

    public override IReadOnlyList<OrtParameter> Inputs => NormQuantizeTokensSignature.Inputs;

    public override IReadOnlyList<OrtParameter> Outputs => NormQuantizeTokensSignature.Outputs;

    public override OrtKernel CreateKernel(in OrtKernelInfo info)
    {
        var node = NormNode.Read(info, out OrtTensorView factor);
        return new Kernel(scratch, node, TokenProjector.Create(node.Projection, factor, math, scratch));
    }

    public override void InferShapes(in OrtShapeInference inference) => NormQuantizeTokensSignature.Infer(inference);

    private sealed unsafe class Kernel(ScratchPool scratch, NormNode node, TokenProjector? projector) : OrtKernel
    {
        /// <summary>Nanoseconds that a core takes about for an element.</summary>
        private const double ElementCost = 1;

        public override void Compute(in OrtKernelContext context)
        {
            NormQuantizeTokensCall call = NormQuantizeTokensCall.Read(context, node);
            int columns = call.Tokens.Columns;
            bool isHalf = call.Tokens.X.ElementType == OrtElementType.Float16;

            // Gain and shift as floats, once for all tokens.
            NativeBuffer constants = scratch.Rent(2L * columns * sizeof(float));
            try
            {
                TokenValues.Read(call.Gain.DataPointer, isHalf, 0, constants.Floats, columns);
                if (node.HasShift)
                {
                    TokenValues.Read(call.Shift.DataPointer, isHalf, 0, constants.Floats + columns, columns);
                }

                var rows = new Rows
                {
                    Scratch = scratch,
                    Node = node,
                    X = call.Tokens.X.DataPointer,
                    Skip = node.HasSkip ? call.Skip.DataPointer : 0,
                    Sum = node.HasSum ? call.Sum.DataPointer : 0,
                    Gain = constants.Floats,
                    Codes = (byte*)call.Tokens.Codes.DataPointer,
                    Scales = (float*)call.Tokens.Scales.DataPointer,
                    Projector = projector,
                    Projections = projector is null ? null : (float*)call.Tokens.Projections.DataPointer,
                    Columns = columns,
                    IsHalf = isHalf,
                };
                double elementCost = ElementCost + (node.Projection.Rank * TokenProjector.ElementCost);
                KernelLoop.Run(context, call.Tokens.Tokens, rows, (double)call.Tokens.Tokens * columns * elementCost);
            }
            finally
            {
                scratch.Return(constants);
            }
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
            public NormNode Node;
            public nint X, Skip, Sum;
            public float* Gain;
            public byte* Codes;
            public float* Scales;
            public TokenProjector? Projector;
            public float* Projections;
            public int Columns;
            public bool IsHalf;

            public readonly void Run(int index)
            {
                long start = (long)index * Columns;
                NativeBuffer buffer = Scratch.Rent(2L * Columns * sizeof(float));
                float* row = buffer.Floats;
                float* other = row + Columns;
                TokenValues.Read(X, IsHalf, start, row, Columns);
                if (Skip != 0)
                {
                    TokenValues.Read(Skip, IsHalf, start, other, Columns);
                    TokenValues.Add(row, other, IsHalf, Columns);
                }

                if (Sum != 0)
                {
                    TokenValues.Write(row, Sum, IsHalf, start, Columns);
                }

                TokenNorm.Apply(row, Columns, Gain, Node.HasShift ? Gain + Columns : null, Node.Epsilon, Node.IsCentered);
                Scales[index] = TokenValues.Quantize(row, IsHalf, Node.Rotation.Block, Codes + start, Columns);
                Scratch.Return(buffer);
                Projector?.Project(Codes + start, Projections, index);
            }
        }
    }
}
