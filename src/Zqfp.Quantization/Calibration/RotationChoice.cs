using System.Numerics.Tensors;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// Chooses whether a stage's inputs are rotated: by the error that its layers' outputs would have on the held-out windows.
/// </summary>
/// <remarks>
/// Both bases are tried on a sample of the tokens, whose H is summed once and rotated, and on some rows of each weight, which are
/// independent: GPTQ alone, without the refinement and the low-rank branch that follow it in either basis.
/// </remarks>
internal static class RotationChoice
{
    /// <summary>Blocks that the automatic choice tries at most.</summary>
    private const int AutoBlock = 64;

    private const int SmallestBlock = 8;

    /// <summary>Rows tried of each weight, evenly spread.</summary>
    public const int Rows = 128;

    /// <summary>Tokens sampled: 2048, or twice the inputs, so that H has full rank.</summary>
    public static int SampledTokens(int columns) => Math.Max(2048, 2 * columns);

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
    /// <param name="weights">Reads the weights [N, K] of layers, one behind the other.</param>
    /// <param name="sums">What the layers read.</param>
    public static int Of(
        QuantizeOptions options, CalibrationStage stage, Func<LinearLayer, QuantizationOptions> recipes,
        Func<IReadOnlyList<LinearLayer>, float[]> weights,
        ITokenSample sums)
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

        int columns = stage.Layers[0].InFeatures;
        (float[] Rows, QuantizationOptions Recipe)[] tried =
        [
            .. stage.Layers.Where(layer => layer.SharesWeightOf is null).GroupBy(layer => layer.Matrix).Select(joined => (
                RowSample.Of(weights([.. joined]), RowSample.Evenly(joined.Sum(layer => layer.OutFeatures), Rows), columns),
                recipes(joined.First()) with { Rank = 0, RefineSweeps = 0, MaxThreads = sums.Workers.Threads }))
        ];

        // Weights that are no numbers are refused where they are quantized, by the layer's name and place.
        if (!tried.All(layer => Array.TrueForAll(layer.Rows, float.IsFinite)))
        {
            return 0;
        }

        using var sample = new Sample(options, columns, block, sums);
        double plain = tried.Sum(layer => sample.Error(layer.Rows, layer.Recipe));
        sample.Rotate();
        Array.ForEach(tried, layer => BlockHadamard.Apply(layer.Rows, block));
        return tried.Sum(layer => sample.Error(layer.Rows, layer.Recipe)) < plain ? block : 0;
    }

    /// <summary>
    /// The tokens sampled: H of those that weights are quantized for and of those held out, in one basis at a time, as each is as large as
    /// all that a stage sums up.
    /// </summary>
    private sealed class Sample : IDisposable
    {
        private readonly int _block;
        private readonly Workers _workers;
        private readonly float[] _rotatedNoise;
        private float[] _noise;
        private Hessian _fit;
        private Hessian _held;

        public Sample(QuantizeOptions options, int columns, int block, ITokenSample sums)
        {
            _block = block;
            _workers = sums.Workers;
            using var fit = new GramAccumulator(columns, sums.Workers);
            using var held = new GramAccumulator(columns, sums.Workers);
            var plain = new TokenRounding(columns, 0, options.Activations);
            var rotated = new TokenRounding(columns, block, options.Activations);
            _noise = new float[columns];
            _rotatedNoise = new float[columns];
            sums.Sample(SampledTokens(columns), (tokens, isHeld) =>
            {
                (isHeld ? held : fit).Add(tokens);
                if (isHeld)
                {
                    AddNoise(plain, [.. tokens], _noise);
                    AddNoise(rotated, tokens, _rotatedNoise);
                }
            });
            TensorPrimitives.Multiply(_noise, 2f / held.Tokens, _noise);
            TensorPrimitives.Multiply(_rotatedNoise, 2f / held.Tokens, _rotatedNoise);
            _fit = fit.ToHessian();
            fit.Dispose();
            _held = held.ToHessian();
        }

        /// <summary>From now on in the other basis.</summary>
        public void Rotate()
        {
            _fit = Rotate(_fit);
            _held = Rotate(_held);
            _noise = _rotatedNoise;
        }

        /// <summary>
        /// Twice the mean squared error of the outputs on the held-out tokens: of the weights' rounding, and of the inputs', whose errors
        /// are as good as independent of each other.
        /// </summary>
        /// <param name="rows">Rows of a weight in the basis.</param>
        /// <param name="recipe">How they are quantized.</param>
        public double Error(float[] rows, QuantizationOptions recipe)
        {
            int columns = _noise.Length;
            QuantizedLayer quantized = LayerQuantizer.Quantize(
                "rows of a layer", rows, rows.Length / columns, columns, _fit, recipe, _workers.Device, _workers.Cancellation);
            double error = LayerQuantizer.Loss(rows, quantized.Weights, null, _held, _workers.Threads, _workers.Cancellation);
            float[] squares = new float[columns];
            for (int start = 0; start < rows.Length; start += columns)
            {
                ReadOnlySpan<float> row = rows.AsSpan(start, columns);
                TensorPrimitives.MultiplyAdd(row, row, squares, squares);
            }

            return error + VectorMath.Dot(squares, _noise);
        }

        public void Dispose()
        {
            _fit.Dispose();
            _held.Dispose();
        }

        private Hessian Rotate(Hessian hessian)
        {
            using (hessian)
            {
                return hessian.Rotate(_block, _workers);
            }
        }

        // The squares of what rounding does to each input.
        private static void AddNoise(TokenRounding rounding, float[] tokens, float[] noise)
        {
            rounding.Rotate(tokens);
            float[] rounded = [.. tokens];
            rounding.Round(rounded);
            TensorPrimitives.Subtract(tokens, rounded, tokens);
            for (int start = 0; start < tokens.Length; start += noise.Length)
            {
                ReadOnlySpan<float> token = tokens.AsSpan(start, noise.Length);
                TensorPrimitives.MultiplyAdd(token, token, noise, noise);
            }
        }
    }
}
