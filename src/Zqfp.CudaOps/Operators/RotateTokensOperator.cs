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
            (int tokens, int columns) = Require.FloatTokens(x);
            rotation.Require(columns);
            nint y = context.Output(0, OrtElementType.Float, x.Shape).DataPointer;
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
