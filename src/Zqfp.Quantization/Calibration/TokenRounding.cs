using Zqfp.CudaOps;
using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>Makes of a layer's input what its operator computes with: rotated, and rounded token by token.</summary>
/// <param name="columns">K: values of a token.</param>
/// <param name="rotation">Inputs of a block that are rotated, 0 for none.</param>
/// <param name="format">How tokens are rounded.</param>
/// <param name="workers">Who computes.</param>
internal sealed class TokenRounding(int columns, int rotation, ActivationFormat format, Workers workers)
{
    private const int TokensAtOnce = 64;

    /// <summary>Rotates and rounds whole tokens in place.</summary>
    /// <param name="tokens">The values.</param>
    /// <param name="count">How many of them there are.</param>
    public void Apply(float[] tokens, int count)
    {
        Rotate(tokens, count);
        Round(tokens, count);
    }

    /// <summary>Rounds whole tokens in place.</summary>
    public void Round(float[] tokens, int count) => ForTokens(count, (start, length) => Round(tokens.AsSpan(start, length)));

    /// <summary>Rotates whole tokens in place.</summary>
    public void Rotate(float[] tokens, int count)
    {
        if (rotation > 0)
        {
            ForTokens(count, (start, length) => BlockHadamard.Apply(tokens.AsSpan(start, length), rotation));
        }
    }

    private void ForTokens(int count, Action<int, int> body)
    {
        int step = TokensAtOnce * columns;
        workers.For((count + step - 1) / step, i => body(i * step, Math.Min(step, count - (i * step))));
    }

    private void Round(Span<float> tokens)
    {
        if (format == ActivationFormat.None)
        {
            return;
        }

        TokenFormat rounding = format switch
        {
            ActivationFormat.Fp8 => TokenFormat.E4M3,
            ActivationFormat.Fp8E5M2 => TokenFormat.E5M2,
            _ => TokenFormat.Int8,
        };
        for (int start = 0; start < tokens.Length; start += columns)
        {
            TokenRounder.Round(rounding, tokens.Slice(start, columns));
        }
    }
}
