
namespace Zqfp.CudaOps;

/// <summary>Rounds each token to a format and back, on the CPU: for comparing formats that have no product of their own.</summary>
internal sealed class RoundTokensOperator(ScratchPool scratch) : OrtOperator
{
    private static readonly Dictionary<string, TokenFormat> Formats = new(StringComparer.Ordinal)
    {
        ["fp8_e4m3"] = TokenFormat.E4M3,
        ["fp8_e5m2"] = TokenFormat.E5M2,
        ["int8"] = TokenFormat.Int8,
    };

    public override string Name => OperatorNames.RoundTokens;

    public override IReadOnlyList<OrtParameter> Inputs { get; } = [new OrtParameter("X", OrtElementType.Undefined)];

    public override IReadOnlyList<OrtParameter> Outputs { get; } = [new OrtParameter("Y", OrtElementType.Undefined)];

    public override OrtKernel CreateKernel(in OrtKernelInfo info)
    {
        string name = info.GetString(OperatorNames.Format, "");
        return Formats.TryGetValue(name, out TokenFormat format)
            ? new Kernel(scratch, format)
            : throw new ZqfpException("ZQFP4006", $"Attribute format must be {string.Join(", ", Formats.Keys)}; it is '{name}'.");
    }

    public override void InferShapes(in OrtShapeInference inference)
    {
        if (inference.TryGetInput(0, out OrtElementType type, out IReadOnlyList<OrtDimension> x))
        {
            inference.SetOutput(0, type, x);
        }
    }

    private sealed unsafe class Kernel(ScratchPool scratch, TokenFormat format) : OrtKernel
    {
        /// <summary>Nanoseconds that a core takes about for an element.</summary>
        private const double ElementCost = 1;

        public override void Compute(in OrtKernelContext context)
        {
            OrtTensorView x = context.Input(0);
            (int rows, int columns) = Require.FloatTokens(x);
            OrtTensorView y = context.Output(0, x.ElementType, x.Shape);
            bool isHalf = x.ElementType == OrtElementType.Float16;
            KernelLoop.Run(context, rows, new Rows(scratch, format, x.DataPointer, y.DataPointer, isHalf, columns),
                (double)rows * columns * ElementCost);
        }

        private readonly struct Rows(ScratchPool scratch, TokenFormat format, nint x, nint y, bool isHalf, int columns) : IParallelBody
        {
            public void Run(int index)
            {
                long start = (long)index * columns;
                if (!isHalf)
                {
                    float* row = (float*)y + start;
                    Buffer.MemoryCopy((float*)x + start, row, (long)columns * sizeof(float), (long)columns * sizeof(float));
                    TokenRounder.Round(format, row, columns);
                    return;
                }
                NativeBuffer buffer = scratch.Rent((long)columns * sizeof(float));
                HalfConversion.ToSingle((Half*)x + start, buffer.Floats, columns);
                TokenRounder.Round(format, buffer.Floats, columns);
                HalfConversion.ToHalf(buffer.Floats, (Half*)y + start, columns);
                scratch.Return(buffer);
            }
        }
    }
}
