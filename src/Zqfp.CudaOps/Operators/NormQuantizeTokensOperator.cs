namespace Zqfp.CudaOps;

/// <summary>FP8 codes and a scale for the norm of each token, on the CPU.</summary>
internal sealed class NormQuantizeTokensOperator(ScratchPool scratch) : OrtOperator
{
    public override string Name => OperatorNames.NormQuantizeTokens;

    public override IReadOnlyList<OrtParameter> Inputs => NormQuantizeTokensSignature.Inputs;

    public override IReadOnlyList<OrtParameter> Outputs => NormQuantizeTokensSignature.Outputs;

    public override OrtKernel CreateKernel(in OrtKernelInfo info) => new Kernel(scratch, NormNode.Read(info));

    public override void InferShapes(in OrtShapeInference inference) => NormQuantizeTokensSignature.Infer(inference);

    private sealed unsafe class Kernel(ScratchPool scratch, NormNode node) : OrtKernel
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
                    Columns = columns,
                    IsHalf = isHalf,
                };
                KernelLoop.Run(context, call.Tokens.Tokens, rows, (double)call.Tokens.Tokens * columns * ElementCost);
            }
            finally
            {
                scratch.Return(constants);
            }
        }

        private struct Rows : IParallelBody
        {
            public ScratchPool Scratch;
            public NormNode Node;
            public nint X, Skip, Sum;
            public float* Gain;
            public byte* Codes;
            public float* Scales;
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
                    for (int i = 0; i < Columns; i++)
                    {
                        row[i] += other[i];
                    }

                    TokenValues.Write(row, Sum != 0 ? Sum : (nint)other, IsHalf, Sum != 0 ? start : 0, Columns);
                }

                TokenNorm.Apply(row, Columns, Gain, Node.HasShift ? Gain + Columns : null, Node.Epsilon, Node.IsCentered);
                Scales[index] = TokenValues.Quantize(row, (Half*)other, IsHalf, Node.Rotation.Block, Codes + start, Columns);
                Scratch.Return(buffer);
            }
        }
    }
}
