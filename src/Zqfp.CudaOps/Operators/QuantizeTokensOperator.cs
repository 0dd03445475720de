
namespace Zqfp.CudaOps;

/// <summary>FP8 codes and a scale for each token, on the CPU.</summary>
internal sealed class QuantizeTokensOperator(ScratchPool scratch) : OrtOperator
{
    public override string Name => OperatorNames.QuantizeTokens;

    public override IReadOnlyList<OrtParameter> Inputs => QuantizeTokensSignature.Inputs;

    public override IReadOnlyList<OrtParameter> Outputs => QuantizeTokensSignature.Outputs;

    public override OrtKernel CreateKernel(in OrtKernelInfo info) => new Kernel(scratch);

    public override void InferShapes(in OrtShapeInference inference) => QuantizeTokensSignature.Infer(inference);

    private sealed unsafe class Kernel(ScratchPool scratch) : OrtKernel
    {
        /// <summary>Nanoseconds that a core takes about for an element.</summary>
        private const double ElementCost = 0.35;

        public override void Compute(in OrtKernelContext context)
        {
            QuantizeTokensCall call = QuantizeTokensCall.Read(context);
            bool isHalf = call.X.ElementType == OrtElementType.Float16;
            var rows = new Rows(scratch, call.X.DataPointer, isHalf, (byte*)call.Codes.DataPointer, (float*)call.Scales.DataPointer, call.Columns);
            KernelLoop.Run(context, call.Tokens, rows, (double)call.Tokens * call.Columns * ElementCost);
        }

        private readonly struct Rows(ScratchPool scratch, nint x, bool isHalf, byte* codes, float* scales, int columns) : IParallelBody
        {
            public void Run(int index)
            {
                long start = (long)index * columns;
                if (!isHalf)
                {
                    scales[index] = TokenQuantizer.Quantize((float*)x + start, codes + start, columns);
                    return;
                }
                NativeBuffer buffer = scratch.Rent((long)columns * sizeof(float));
                HalfConversion.ToSingle((Half*)x + start, buffer.Floats, columns);
                scales[index] = TokenQuantizer.Quantize(buffer.Floats, codes + start, columns);
                scratch.Return(buffer);
            }
        }
    }
}
