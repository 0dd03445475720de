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
    /// <param name="weights">Reads a layer's weight [N, K].</param>
    /// <param name="sums">What the layers read.</param>
    public static int Of(
        QuantizeOptions options, CalibrationStage stage, Func<LinearLayer, QuantizationOptions> recipes, Func<LinearLayer, float[]> weights,
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
        using var sample = new Sample(options, columns, block, sums);
        double gain = 0;
        foreach (LinearLayer layer in stage.Layers.Where(layer => layer.SharesWeightOf is null))
        {
            float[] rows = SomeRows(weights(layer), layer);
            QuantizationOptions recipe = recipes(layer) with { Rank = 0, RefineSweeps = 0, MaxThreads = sums.Workers.Threads };
            gain += sample.Plain.Error(rows, recipe, sums.Workers) - sample.Rotated.Error(rows, recipe, sums.Workers);
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

    /// <summary>The tokens sampled, in both bases.</summary>
    private sealed class Sample : IDisposable
    {
        public Sample(QuantizeOptions options, int columns, int block, ITokenSample sums)
        {
            using var fit = new GramAccumulator(columns, sums.Workers);
            using var held = new GramAccumulator(columns, sums.Workers);
            var plain = new TokenRounding(columns, 0, options.Activations);
            var rotated = new TokenRounding(columns, block, options.Activations);
            float[] plainNoise = new float[columns];
            float[] rotatedNoise = new float[columns];
            sums.Sample(SampledTokens(columns), (tokens, isHeld) =>
            {
                (isHeld ? held : fit).Add(tokens);
                if (isHeld)
                {
                    AddNoise(plain, [.. tokens], plainNoise);
                    AddNoise(rotated, tokens, rotatedNoise);
                }
            });
            TensorPrimitives.Multiply(plainNoise, 2f / held.Tokens, plainNoise);
            TensorPrimitives.Multiply(rotatedNoise, 2f / held.Tokens, rotatedNoise);
            Hessian fitted = fit.ToHessian();
            Hessian heldOut = held.ToHessian();
            Plain = new Trial(0, fitted, heldOut, plainNoise);
            Rotated = new Trial(block, fitted.Rotate(block, sums.Workers), heldOut.Rotate(block, sums.Workers), rotatedNoise);
        }

        public Trial Plain { get; }

        public Trial Rotated { get; }

        public void Dispose()
        {
            Plain.Dispose();
            Rotated.Dispose();
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

    /// <summary>One basis.</summary>
    /// <param name="rotation">Inputs of a block that are rotated, 0 for none.</param>
    /// <param name="fit">H of the tokens that weights are quantized for.</param>
    /// <param name="held">H of the tokens held out.</param>
    /// <param name="noise">(2/N) sum of the squares of what rounding does to each input of these.</param>
    private sealed class Trial(int rotation, Hessian fit, Hessian held, float[] noise) : IDisposable
    {
        /// <summary>
        /// Twice the mean squared error of the outputs on the held-out tokens: of the weights' rounding, and of the inputs', whose errors
        /// are as good as independent of each other.
        /// </summary>
        public double Error(float[] rows, QuantizationOptions recipe, Workers workers)
        {
            float[] turned = [.. rows];
            if (rotation > 0)
            {
                BlockHadamard.Apply(turned, rotation);
            }

            int columns = noise.Length;
            QuantizedLayer quantized = LayerQuantizer.Quantize(turned, turned.Length / columns, columns, fit, recipe, workers.Cancellation);
            double error = LayerQuantizer.Loss(turned, quantized.Weights, null, held, workers.Threads, workers.Cancellation);
            float[] squares = new float[columns];
            for (int start = 0; start < turned.Length; start += columns)
            {
                ReadOnlySpan<float> row = turned.AsSpan(start, columns);
                TensorPrimitives.MultiplyAdd(row, row, squares, squares);
            }

            return error + VectorMath.Dot(squares, noise);
        }

        public void Dispose()
        {
            fit.Dispose();
            held.Dispose();
        }
    }
}
