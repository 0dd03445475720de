namespace Zqfp.CudaOps;

/// <summary>Rotates each token in blocks, on the CPU: for products that read tokens as they are.</summary>
internal sealed class RotateTokensOperator : OrtOperator
{
    public override string Name => OperatorNames.RotateTokens;

    public override IReadOnlyList<OrtParameter> Inputs { get; } = [new OrtParameter("X", OrtElementType.Undefined)];

    public override IReadOnlyList<OrtParameter> Outputs { get; } = [new OrtParameter("Y", OrtElementType.Float)];

    public override OrtKernel CreateKernel(in OrtKernelInfo info) => new Kernel(TokenRotation.Read(info));

    public override void InferShapes(in OrtShapeInference inference)
    {
        if (inference.TryGetInput(0, out _, out IReadOnlyList<OrtDimension> x))
        {
            inference.SetOutput(0, OrtElementType.Float, x);
        }
    }

    private sealed unsafe class Kernel(TokenRotation rotation) : OrtKernel
    {
        /// <summary>Nanoseconds that a core takes about for an element.</summary>
        private const double ElementCost = 0.2;

        public override void Compute(in OrtKernelContext context)
        {
            OrtTensorView x = context.Input(0);
            Require.Type(x, "X", OrtElementType.Float, OrtElementType.Float16);
            ReadOnlySpan<long> shape = x.Shape;
            if (shape.Length == 0)
            {
                throw new ZqfpException("ZQFP4006", "X must have at least one dimension.");
            }

            int columns = checked((int)shape[^1]);
            rotation.Require(columns);
            int tokens = checked((int)OrtElementTypes.ElementCount(shape[..^1]));
            nint y = context.Output(0, shape).DataPointer;
            var rows = new Rows(rotation.Block, x.DataPointer, x.ElementType == OrtElementType.Float16, (float*)y, columns);
            KernelLoop.Run(context, tokens, rows, (double)tokens * columns * ElementCost);
        }

        private readonly struct Rows(int block, nint x, bool isHalf, float* y, int columns) : IParallelBody
        {
            public void Run(int index) =>
                TokenRotator.Read(x, isHalf, (long)index * columns, y + ((long)index * columns), columns, block);
        }
    }
}
