using System.Numerics.Tensors;

namespace Zqfp.CudaOps;

/// <summary>
/// The product for experts in floating point, on the CPU: what a mixture of experts computes before it is quantized. Weights are read where
/// they lie, and become floats some columns at a time.
/// </summary>
internal sealed class FloatExpertMatMulOperator(ScratchPool scratch, PanelMath math) : OrtOperator
{
    private const int Width = PackedWeights.PanelWidth, Part = PackedWeights.PartWidth;

    /// <summary>Columns that become floats at a time.</summary>
    private const int ColumnsAtOnce = 64;

    private const int IndexInput = 1, WeightsInput = 2, BiasInput = 3;

    public override string Name => OperatorNames.ExpertMatMul;

    public override IReadOnlyList<OrtParameter> Inputs { get; } =
    [
        new OrtParameter("X", OrtElementType.Undefined),
        new OrtParameter("Index", OrtElementType.Int64),
        new OrtParameter("W", OrtElementType.Undefined),
        new OrtParameter("bias", OrtElementType.Undefined, Optional: true),
    ];

    public override IReadOnlyList<OrtParameter> Outputs => MatMulSignature.Outputs;

    public override OrtKernel CreateKernel(in OrtKernelInfo info)
    {
        OrtTensorView bias = Require.OptionalConstant(info, BiasInput, "bias");
        return new Kernel(scratch, math, info.GetInt64(OperatorNames.InputMajor, 0) != 0)
        {
            Bias = bias.IsPresent ? Require.Floats(bias, "bias") : null,
            BiasLength = bias.IsPresent ? bias.ElementCount : 0,
        };
    }

    public override void InferShapes(in OrtShapeInference inference)
    {
        if (inference.TryGetInput(0, out OrtElementType type, out _))
        {
            bool isInputMajor = inference.GetInt64(OperatorNames.InputMajor, 0) != 0;
            ExpertShapes.Infer(inference, IndexInput, WeightsInput, type, isInputMajor);
        }
    }

    private sealed unsafe class Kernel(ScratchPool scratch, PanelMath math, bool isInputMajor) : OrtKernel
    {
        /// <summary>Rows that share them: totals of all of them stay in cache.</summary>
        private const int MostRows = 256;

        // What a core takes about, in nanoseconds: for a multiply-add, to turn an element of W.
        private const double MultiplyCost = 0.03, TurnCost = 0.5;

        public required NativeBuffer? Bias { get; init; }

        public required long BiasLength { get; init; }

        public override void Compute(in OrtKernelContext context)
        {
            OrtTensorView x = context.Input(0);
            Require.Type(x, "X", OrtElementType.Float, OrtElementType.Float16);
            OrtTensorView weights = context.Input(WeightsInput);
            Require.Type(weights, "W", OrtElementType.Float, OrtElementType.Float16, OrtElementType.BFloat16);
            if (weights.Shape.Length != 3)
            {
                throw new ZqfpException("ZQFP4006", $"W must be [E, N, K]; it is {Require.Text(weights.Shape)}.");
            }

            var stack = new Stack(weights, isInputMajor);
            if (Bias is not null && BiasLength != (long)stack.Experts * stack.Rows)
            {
                throw new ZqfpException("ZQFP4006", $"bias must be [E, N] = [{stack.Experts}, {stack.Rows}].");
            }

            int tokens = ExpertShapes.Tokens(x, stack.Columns);
            OrtTensorView index = context.Input(IndexInput);
            OrtTensorView y = ExpertShapes.Output(context, index, stack.Rows);
            var all = new TokenRows { X = x.DataPointer, XType = x.ElementType, Y = y.DataPointer };
            using var sorted = new ExpertRows(scratch, index, tokens, stack.Experts);
            for (int expert = 0; expert < stack.Experts; expert++)
            {
                Multiply(context, stack, expert, sorted.Of(expert, all));
            }
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                Bias?.Dispose();
            }

            base.Dispose(disposing);
        }

        private void Multiply(in OrtKernelContext context, in Stack stack, int expert, in TokenRows tokens)
        {
            int columns = stack.Columns;
            if (tokens.Count == 0 || stack.Rows == 0)
            {
                return;
            }

            NativeBuffer buffer = scratch.Rent((long)tokens.Count * columns * sizeof(float));
            try
            {
                for (int row = 0; row < tokens.Count; row++)
                {
                    long source = (long)tokens.Source(row) * columns;
                    float* target = buffer.Floats + ((long)row * columns);
                    if (tokens.XType == OrtElementType.Float)
                    {
                        new ReadOnlySpan<float>((float*)tokens.X + source, columns).CopyTo(new Span<float>(target, columns));
                    }
                    else
                    {
                        HalfConversion.ToSingle((Half*)tokens.X + source, target, columns);
                    }
                }

                int panels = (stack.Rows + Width - 1) / Width;
                double elements = (double)stack.Rows * columns;
                KernelLoop.Run(context, panels, new Panels(this, stack, expert, tokens, buffer.Floats),
                    elements * ((tokens.Count * MultiplyCost) + TurnCost));
            }
            finally
            {
                scratch.Return(buffer);
            }
        }

        private void MultiplyPanel(in Stack stack, int expert, int panel, in TokenRows tokens, float* x)
        {
            int columns = stack.Columns;
            NativeBuffer buffer = scratch.Rent(Width * (ColumnsAtOnce + (2L * MostRows) + 1) * sizeof(float));
            try
            {
                float* decoded = buffer.Floats;
                float* ones = decoded + (Width * ColumnsAtOnce);
                float* sums = ones + Width;
                float* totals = sums + (Width * MostRows);
                new Span<float>(ones, Width).Fill(1);
                for (int first = 0; first < tokens.Count; first += MostRows)
                {
                    int rows = Math.Min(MostRows, tokens.Count - first);
                    new Span<float>(sums, Width * rows).Clear();
                    new Span<float>(totals, Width * rows).Clear();
                    for (int column = 0; column < columns; column += ColumnsAtOnce)
                    {
                        int count = Math.Min(ColumnsAtOnce, columns - column);
                        stack.Turn(expert, panel * Width, column, count, decoded);
                        math.Multiply(x + ((long)first * columns) + column, columns, rows, decoded, count, sums,
                            column + count == columns ? ones : null, totals);
                    }

                    Store(stack, expert, panel * Width, first, rows, tokens, totals);
                }
            }
            finally
            {
                scratch.Return(buffer);
            }
        }

        private void Store(in Stack stack, int expert, int row, int first, int rows, in TokenRows tokens, float* totals)
        {
            int valid = Math.Min(Width, stack.Rows - row);
            for (int i = 0; i < rows; i++, totals += Width)
            {
                if (Bias is { } bias)
                {
                    var values = new Span<float>(totals, valid);
                    TensorPrimitives.Add(values, new ReadOnlySpan<float>(bias.Floats + ((long)expert * stack.Rows) + row, valid), values);
                }

                long start = ((long)tokens.Target(first + i) * stack.Rows) + row;
                if (tokens.XType == OrtElementType.Float)
                {
                    new ReadOnlySpan<float>(totals, valid).CopyTo(new Span<float>((float*)tokens.Y + start, valid));
                }
                else
                {
                    HalfConversion.ToHalf(totals, (Half*)tokens.Y + start, valid);
                }
            }
        }

        private readonly struct Panels(Kernel kernel, Stack stack, int expert, TokenRows tokens, float* x) : IParallelBody
        {
            public void Run(int index) => kernel.MultiplyPanel(stack, expert, index, tokens, x);
        }
    }

    /// <summary>W of one call.</summary>
    private readonly unsafe struct Stack
    {
        private readonly nint _data;
        private readonly OrtElementType _type;
        private readonly bool _isInputMajor;

        public Stack(in OrtTensorView weights, bool isInputMajor)
        {
            _data = weights.DataPointer;
            _type = weights.ElementType;
            _isInputMajor = isInputMajor;
            Experts = checked((int)weights.Shape[0]);
            Rows = checked((int)weights.Shape[isInputMajor ? 2 : 1]);
            Columns = checked((int)weights.Shape[isInputMajor ? 1 : 2]);
        }

        public int Experts { get; }

        /// <summary>N.</summary>
        public int Rows { get; }

        /// <summary>K.</summary>
        public int Columns { get; }

        /// <summary>Columns of 64 rows of an expert's weight, as <see cref="PanelMath"/> takes them.</summary>
        public void Turn(int expert, int row, int column, int count, float* decoded)
        {
            int valid = Math.Min(Width, Rows - row);
            new Span<float>(decoded, Width * count).Clear();
            long matrix = (long)expert * Rows * Columns;
            if (_isInputMajor)
            {
                for (int c = 0; c < count; c++)
                {
                    for (int r = 0; r < valid; r += Part)
                    {
                        Read(matrix + ((long)(column + c) * Rows) + row + r, decoded + (r * count) + (c * Part), Math.Min(Part, valid - r));
                    }
                }

                return;
            }

            float* line = stackalloc float[ColumnsAtOnce];
            for (int r = 0; r < valid; r++)
            {
                Read(matrix + ((long)(row + r) * Columns) + column, line, count);
                float* rows = decoded + (r / Part * Part * count) + (r % Part);
                for (int c = 0; c < count; c++)
                {
                    rows[c * Part] = line[c];
                }
            }
        }

        private void Read(long start, float* destination, int count)
        {
            switch (_type)
            {
                case OrtElementType.Float:
                    new ReadOnlySpan<float>((float*)_data + start, count).CopyTo(new Span<float>(destination, count));
                    break;
                case OrtElementType.Float16:
                    HalfConversion.ToSingle((Half*)_data + start, destination, count);
                    break;
                default:
                    ushort* narrow = (ushort*)_data + start;
                    for (int i = 0; i < count; i++)
                    {
                        destination[i] = BitConverter.UInt32BitsToSingle((uint)narrow[i] << 16);
                    }

                    break;
            }
        }
    }
}
