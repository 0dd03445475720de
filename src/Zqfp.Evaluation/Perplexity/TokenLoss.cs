using System.Numerics.Tensors;

namespace Zqfp.Evaluation;

/// <summary>The negative log-likelihood that logits give the tokens that really follow.</summary>
internal static class TokenLoss
{
    /// <summary>
    /// log(sum of exp(logits)) - logit, in nats, by differences to the largest logit, so that large ones lose nothing.
    /// </summary>
    /// <param name="row">The logits [vocabulary] of a token.</param>
    /// <param name="id">The token that follows it.</param>
    /// <param name="scratch">Room for a row.</param>
    public static double Of(ReadOnlySpan<float> row, int id, Span<float> scratch)
    {
        float max = TensorPrimitives.Max(row);
        TensorPrimitives.Subtract(row, max, scratch);
        TensorPrimitives.Exp(scratch, scratch);
        return (double)max - row[id] + Math.Log(TensorPrimitives.Sum<float>(scratch));
    }
}
