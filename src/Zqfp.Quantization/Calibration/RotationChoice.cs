using System.Numerics.Tensors;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// Chooses whether a stage's inputs are rotated: by the error that its layers' outputs would have on the held-out windows.
/// </summary>
/// <remarks>
/// Both bases are tried on a sample of the tokens, and on some rows of each weight, which are independent: GPTQ alone, without the
/// refinement and the low-rank branch that follow it in either basis.
/// </remarks>
internal static class RotationChoice
{
    /// <summary>Blocks that the automatic choice tries at most.</summary>
    private const int AutoBlock = 64;

    private const int SmallestBlock = 8;

    /// <summary>Tokens sampled: so many, or three times the inputs, so that H has full rank.</summary>
    private const int Tokens = 4096;

    /// <summary>Rows tried of each weight, evenly spread.</summary>
    private const int Rows = 256;

    /// <summary>
    /// The block for <paramref name="columns"/> inputs: the largest power of two up to the option's that divides them, 0 where that is
    /// below 8.
    /// </summary>
    public static int Block(QuantizeOptions options, int columns)
    {
        int limit = options.Rotation == QuantizeOptions.AutoRotation ? AutoBlock : options.Rotation;
        int block = Math.Min(limit, columns & -columns);
        return block >= SmallestBlock ? block : 0;
    }

    /// <summary>The block for a stage, 0 for none.</summary>
    /// <param name="options">The options of the run.</param>
    /// <param name="stage">The stage.</param>
    /// <param name="recipes">How each of its layers is quantized.</param>
    /// <param name="weights">Reads a layer's weight [N, K].</param>
    /// <param name="sums">What the layers read.</param>
    public static int Of(
        QuantizeOptions options, CalibrationStage stage, Func<LinearLayer, QuantizationOptions> recipes, Func<LinearLayer, float[]> weights,
        StageSums sums)
    {
        int block = Block(options, stage.Layers[0].InFeatures);
        if (options.Rotation != QuantizeOptions.AutoRotation || block == 0)
        {
            return block;
        }

        if (options.Activations == ActivationFormat.None || sums.HeldWindows == 0 || !sums.IsAligned)
        {
            return 0;
        }

        using var plain = new Trial(options, stage.Layers[0].InFeatures, 0, sums);
        using var rotated = new Trial(options, stage.Layers[0].InFeatures, block, sums);
        double gain = 0;
        foreach (LinearLayer layer in stage.Layers.Where(layer => layer.SharesWeightOf is null))
        {
            float[] rows = SomeRows(weights(layer), layer);
            QuantizationOptions recipe = recipes(layer) with { Rank = 0, RefineSweeps = 0, MaxThreads = sums.Workers.Threads };
            gain += plain.Error(rows, recipe, sums.Workers) - rotated.Error(rows, recipe, sums.Workers);
        }

        return gain > 0 ? block : 0;
    }

    private static float[] SomeRows(float[] weight, LinearLayer layer)
    {
        int columns = layer.InFeatures;
        int count = Math.Min(Rows, layer.OutFeatures);
        float[] rows = new float[count * columns];
        for (int i = 0; i < count; i++)
        {
            weight.AsSpan((int)((long)i * layer.OutFeatures / count) * columns, columns).CopyTo(rows.AsSpan(i * columns));
        }

        return rows;
    }

    /// <summary>One basis.</summary>
    private sealed class Trial : IDisposable
    {
        private readonly int _columns;
        private readonly int _rotation;
        private readonly float[] _noise;
        private readonly Hessian _fit;
        private readonly Hessian _held;

        public Trial(QuantizeOptions options, int columns, int rotation, StageSums sums)
        {
            _columns = columns;
            _rotation = rotation;
            _noise = new float[columns];
            var rounding = new TokenRounding(columns, rotation, options.Activations, sums.Workers);
            using var fit = new GramAccumulator(columns, sums.Workers);
            using var held = new GramAccumulator(columns, sums.Workers);
            sums.Sample(Math.Max(Tokens, 3 * columns), (tokens, isHeld) =>
            {
                rounding.Rotate(tokens, tokens.Length);
                float[] rounded = [.. tokens];
                rounding.Round(rounded, rounded.Length);
                (isHeld ? held : fit).Add(rounded);
                if (isHeld)
                {
                    TensorPrimitives.Subtract(tokens, rounded, tokens);
                    for (int start = 0; start < tokens.Length; start += columns)
                    {
                        ReadOnlySpan<float> token = tokens.AsSpan(start, columns);
                        TensorPrimitives.MultiplyAdd(token, token, _noise, _noise);
                    }
                }
            });
            _fit = fit.ToHessian();
            _held = held.ToHessian();
            TensorPrimitives.Multiply(_noise, 2f / held.Tokens, _noise);
        }

        /// <summary>
        /// Twice the mean squared error of the outputs on the held-out tokens: of the weights' rounding, and of the inputs', whose errors
        /// are as good as independent of each other.
        /// </summary>
        public double Error(float[] rows, QuantizationOptions recipe, Workers workers)
        {
            float[] turned = [.. rows];
            if (_rotation > 0)
            {
                BlockHadamard.Apply(turned, _rotation);
            }

            int count = turned.Length / _columns;
            QuantizedLayer quantized = LayerQuantizer.Quantize(turned, count, _columns, _fit, recipe, workers.Cancellation);
            double error = LayerQuantizer.Loss(turned, quantized.Weights, null, _held, workers.Threads, workers.Cancellation);
            float[] squares = new float[_columns];
            for (int start = 0; start < turned.Length; start += _columns)
            {
                ReadOnlySpan<float> row = turned.AsSpan(start, _columns);
                TensorPrimitives.MultiplyAdd(row, row, squares, squares);
            }

            return error + VectorMath.Dot(squares, _noise);
        }

        public void Dispose()
        {
            _fit.Dispose();
            _held.Dispose();
        }
    }
}
