using Zqfp.CudaOps;
using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>Makes of a layer's input what its operator computes with: rotated, and rounded token by token.</summary>
/// <param name="columns">K: values of a token.</param>
/// <param name="rotation">Inputs of a block that are rotated, 0 for none.</param>
/// <param name="format">How tokens are rounded.</param>
internal sealed class TokenRounding(int columns, int rotation, ActivationFormat format)
{
    /// <summary>Rotates whole tokens in place.</summary>
    public void Rotate(Span<float> tokens)
    {
        if (rotation > 0)
        {
            BlockHadamard.Apply(tokens, rotation);
        }
    }

    /// <summary>Rounds whole tokens in place.</summary>
    public void Round(Span<float> tokens)
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
