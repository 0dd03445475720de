using Zqfp.CudaOps.Cpu;
using Zqfp.OnnxRuntime;
using Zqfp.OnnxRuntime.Operators;

namespace Zqfp.CudaOps.Operators;

/// <summary>FP8 codes and a scale for each token, on the CPU.</summary>
internal sealed class QuantizeTokensOperator(ScratchPool scratch) : OrtOperator
{
    public override string Name => OperatorNames.QuantizeTokens;

    public override IReadOnlyList<OrtParameter> Inputs { get; } = [new OrtParameter("X", OrtElementType.Undefined)];

    public override IReadOnlyList<OrtParameter> Outputs { get; } =
        [new OrtParameter("Xq", OrtElementType.Float8E4M3FN), new OrtParameter("Sx", OrtElementType.Float)];

    public override OrtKernel CreateKernel(in OrtKernelInfo info) => new Kernel(scratch);

    public override void InferShapes(in OrtShapeInference inference)
    {
        if (inference.TryGetInput(0, out _, out IReadOnlyList<OrtDimension> x))
        {
            inference.SetOutput(0, OrtElementType.Float8E4M3FN, x);
            inference.SetOutput(1, OrtElementType.Float, x.Count > 0 ? [.. x.Take(x.Count - 1), new OrtDimension(1, null)] : []);
        }
    }

    private sealed unsafe class Kernel(ScratchPool scratch) : OrtKernel
    {
        /// <summary>Nanoseconds that a core takes about for an element.</summary>
        private const double ElementCost = 0.35;

        public override void Compute(in OrtKernelContext context)
        {
            OrtTensorView x = context.Input(0);
            Require.Type(x, "X", OrtElementType.Float, OrtElementType.Float16);
            ReadOnlySpan<long> shape = x.Shape;
            if (shape.Length == 0)
            {
                throw new OperatorException("X must have at least one dimension.");
            }
            int columns = checked((int)shape[^1]);
            int rows = checked((int)OrtElementTypes.ElementCount(shape[..^1]));
            Span<long> scaleShape = stackalloc long[OrtTensorView.MaxRank];
            shape.CopyTo(scaleShape);
            scaleShape[shape.Length - 1] = 1;
            OrtTensorView codes = context.Output(0, shape);
            OrtTensorView scales = context.Output(1, scaleShape[..shape.Length]);
            bool isHalf = x.ElementType == OrtElementType.Float16;
            KernelLoop.Run(context, rows, new Rows(scratch, x.DataPointer, isHalf, (byte*)codes.DataPointer, (float*)scales.DataPointer, columns), (double)rows * columns * ElementCost);
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
