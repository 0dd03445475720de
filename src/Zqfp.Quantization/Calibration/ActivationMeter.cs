using System.Numerics.Tensors;
using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>Measures what a stage's input ranges over as it streams by. Only comparisons: the result is the same everywhere.</summary>
/// <remarks>Memory: a float a token and a float a channel.</remarks>
/// <param name="columns">K: values of one token.</param>
internal sealed class ActivationMeter(int columns)
{
    private const double Tail = 0.05;

    private readonly Lock _lock = new();
    private readonly float[] _channels = new float[columns];
    private readonly List<float> _tokens = [];

    /// <summary>Looks at whole tokens; several threads may do so at once.</summary>
    public void Add(ReadOnlySpan<float> tokensRowMajor)
    {
        float[] channels = new float[columns];
        float[] tokens = new float[tokensRowMajor.Length / columns];
        for (int i = 0; i < tokens.Length; i++)
        {
            ReadOnlySpan<float> token = tokensRowMajor.Slice(i * columns, columns);
            tokens[i] = MathF.Abs(TensorPrimitives.MaxMagnitude(token));
            TensorPrimitives.MaxMagnitude(token, channels, channels);
        }

        lock (_lock)
        {
            _tokens.AddRange(tokens);
            TensorPrimitives.MaxMagnitude(channels, _channels, _channels);
        }
    }

    /// <summary>Whether any token with a value other than 0 was there. NaN is one.</summary>
    public bool HasSeenAny => _tokens.Exists(largest => largest != 0);

    /// <summary>What was seen.</summary>
    /// <param name="parts">The Hessian of the same tokens, one or more, all finite, in parts: its diagonal has the squares.</param>
    public ActivationRange ToRange(params Hessian[] parts)
    {
        float[] tokens = [.. _tokens.Order()];
        float[] channels = [.. _channels.Select(MathF.Abs).Order()];
        double squares = Enumerable.Range(0, columns).Sum(i => (double)parts.Aggregate(0f, (sum, part) => sum + part.Row(i)[i]))
            / (2.0 * columns);
        return new ActivationRange(tokens[^1], Quantile(tokens, Tail), Quantile(tokens, 0.5), Quantile(tokens, 1 - Tail),
            (float)Math.Sqrt(squares), Quantile(channels, 0.5));
    }

    /// <summary>A value that is there, not one between two.</summary>
    private static float Quantile(float[] sorted, double share) => sorted[(int)(share * (sorted.Length - 1))];
}
