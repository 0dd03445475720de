using System.Numerics.Tensors;

namespace Zqfp.CudaOps;

/// <summary>
/// The product for experts in floating point, on the CPU: what a mixture of experts computes before it is quantized. Weights are read where
/// they lie, and become floats some columns at a time.
/// </summary>
internal sealed class FloatExpertMatMulOperator(ScratchPool scratch, PanelMath math) : OrtOperator
{
    /// <summary>Columns that become floats, and are summed, at a time.</summary>
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

            int blocks = (tokens.Count - 1) / MostRows;
            var last = new RowTiles(tokens.Count - (blocks * MostRows), math.RowUnit);
            NativeBuffer buffer = scratch.Rent((((long)blocks * MostRows) + last.Rows + 2) * columns * sizeof(float));
            try
            {
                float* x = buffer.Floats + (2L * columns);
                for (int first = 0; first < tokens.Count; first += MostRows)
                {
                    ReadBlock(tokens, columns, first, buffer.Floats, x + ((long)first * columns));
                }

                int strips = (stack.Rows + math.StripWidth - 1) / math.StripWidth;
                double cost = (double)stack.Rows * columns * ((tokens.Count * MultiplyCost) + TurnCost);
                KernelLoop.Run(context, strips, new Strips(this, stack, expert, tokens, x), cost);
            }
            finally
            {
                scratch.Return(buffer);
            }
        }

        /// <summary>Rows of X become floats in tiles, some columns after others.</summary>
        private void ReadBlock(in TokenRows tokens, int columns, int firstRow, float* pair, float* block)
        {
            var tiles = new RowTiles(Math.Min(MostRows, tokens.Count - firstRow), math.RowUnit);
            for (int row = 0; row < tiles.Rows; row += 2)
            {
                Read(tokens, firstRow + row, columns, pair);
                Read(tokens, firstRow + row + 1, columns, pair + columns);
                (int first, int tileRows) = tiles.Of(row);
                for (int column = 0; column < columns; column += ColumnsAtOnce)
                {
                    int count = Math.Min(ColumnsAtOnce, columns - column);
                    float* tile = block + ((long)column * tiles.Rows) + ((long)first * count);
                    RowTiles.Write(pair + column, pair + columns + column, count, tile + row - first, tileRows);
                }
            }
        }

        /// <summary>A row as floats; zeros behind the last.</summary>
        private static void Read(in TokenRows tokens, int row, int columns, float* target)
        {
            if (row >= tokens.Count)
            {
                new Span<float>(target, columns).Clear();
                return;
            }

            long source = (long)tokens.Source(row) * columns;
            if (tokens.XType == OrtElementType.Float)
            {
                new ReadOnlySpan<float>((float*)tokens.X + source, columns).CopyTo(new Span<float>(target, columns));
            }
            else
            {
                HalfConversion.ToSingle((Half*)tokens.X + source, target, columns);
            }
        }

        private void MultiplyStrip(in Stack stack, int expert, int strip, in TokenRows tokens, float* x)
        {
            int columns = stack.Columns, width = math.StripWidth;
            NativeBuffer buffer = scratch.Rent(width * (ColumnsAtOnce + MostRows + 1L) * sizeof(float));
            try
            {
                float* decoded = buffer.Floats, ones = decoded + (width * ColumnsAtOnce), totals = ones + width;
                new Span<float>(ones, width).Fill(1);
                for (int first = 0; first < tokens.Count; first += MostRows)
                {
                    int rows = Math.Min(MostRows, tokens.Count - first);
                    var tiles = new RowTiles(rows, math.RowUnit);
                    float* block = x + ((long)first * columns);
                    new Span<float>(totals, width * tiles.Rows).Clear();
                    for (int column = 0; column < columns; column += ColumnsAtOnce)
                    {
                        int count = Math.Min(ColumnsAtOnce, columns - column);
                        stack.Turn(expert, strip * width, width, column, count, decoded);
                        math.Multiply(block + ((long)column * tiles.Rows), tiles, decoded, count, ones, totals);
                    }

                    Store(stack, expert, strip * width, first, rows, tokens, totals);
                }
            }
            finally
            {
                scratch.Return(buffer);
            }
        }

        private void Store(in Stack stack, int expert, int row, int first, int rows, in TokenRows tokens, float* totals)
        {
            int valid = Math.Min(math.StripWidth, stack.Rows - row);
            for (int i = 0; i < rows; i++, totals += math.StripWidth)
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

        private readonly struct Strips(Kernel kernel, Stack stack, int expert, TokenRows tokens, float* x) : IParallelBody
        {
            public void Run(int index) => kernel.MultiplyStrip(stack, expert, index, tokens, x);
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

        /// <summary>Columns of a strip of an expert's weight, as <see cref="PanelMath"/> takes them.</summary>
        public void Turn(int expert, int row, int width, int column, int count, float* strip)
        {
            int valid = Math.Min(width, Rows - row);
            new Span<float>(strip, width * count).Clear();
            long matrix = (long)expert * Rows * Columns;
            if (_isInputMajor)
            {
                for (int c = 0; c < count; c++)
                {
                    Read(matrix + ((long)(column + c) * Rows) + row, strip + (c * width), valid);
                }

                return;
            }

            float* line = stackalloc float[ColumnsAtOnce];
            for (int r = 0; r < valid; r++)
            {
                Read(matrix + ((long)(row + r) * Columns) + column, line, count);
                for (int c = 0; c < count; c++)
                {
                    strip[(c * width) + r] = line[c];
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
