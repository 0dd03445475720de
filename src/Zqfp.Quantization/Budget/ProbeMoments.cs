using System.Numerics.Tensors;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// What the layers of a stage read, rounded as their operators round it: H of the tokens that are fitted to, and of those held out.
/// </summary>
internal sealed class ProbeMoments : IDisposable
{
    private const int HeldShare = 5;

    private readonly int _columns;
    private readonly float[] _noise;

    /// <summary>Sums up all tokens.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="values">What its layers read.</param>
    /// <param name="batches">The windows.</param>
    /// <param name="activations">How tokens are rounded.</param>
    /// <param name="workers">The threads.</param>
    public ProbeMoments(CalibrationStage stage, StageValues values, IReadOnlyList<TokenBatch> batches, ActivationFormat activations,
        Workers workers)
    {
        _columns = stage.Layers[0].InFeatures;
        _noise = new float[_columns];
        var rounding = new TokenRounding(_columns, rotation: 0, activations, workers);
        using var fit = new GramAccumulator(_columns, workers.Threads);
        using var held = new GramAccumulator(_columns, workers.Threads);
        for (int i = 0; i < batches.Count; i++)
        {
            float[] tokens = values.Floats(stage.Input, i).ToArray();
            float[] rounded = [.. tokens];
            rounding.Round(rounded, rounded.Length);

            // A fifth of each batch's tokens, whole ones; an expert may have been sent none.
            int split = tokens.Length / _columns / HeldShare * _columns;
            held.Add(rounded.AsSpan(0, split));
            fit.Add(rounded.AsSpan(split));
            TensorPrimitives.Subtract(tokens, rounded, tokens);
            for (int start = 0; start < split; start += _columns)
            {
                ReadOnlySpan<float> token = tokens.AsSpan(start, _columns);
                TensorPrimitives.MultiplyAdd(token, token, _noise, _noise);
            }
        }

        Fit = fit.Tokens > 0 ? fit.ToHessian() : null;
        Held = held.Tokens > 0 ? held.ToHessian() : null;
        TensorPrimitives.Multiply(_noise, 2f / Math.Max(1, held.Tokens), _noise);
    }

    /// <summary>H of the tokens that layers are fitted to; null where there is none.</summary>
    public Hessian? Fit { get; }

    /// <summary>H of those held out; null where there is none.</summary>
    public Hessian? Held { get; }

    /// <summary>Twice the mean squared error that rounding the held-out tokens causes in the outputs of a weight [N, K].</summary>
    public double Noise(ReadOnlySpan<float> weight)
    {
        float[] squares = new float[_columns];
        for (int start = 0; start < weight.Length; start += _columns)
        {
            ReadOnlySpan<float> row = weight.Slice(start, _columns);
            TensorPrimitives.MultiplyAdd(row, row, squares, squares);
        }

        return VectorMath.Dot(squares, _noise);
    }

    public void Dispose()
    {
        Fit?.Dispose();
        Held?.Dispose();
    }
}
