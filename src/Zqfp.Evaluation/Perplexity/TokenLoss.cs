using System.Numerics.Tensors;

namespace Zqfp.Evaluation;

/// <summary>The negative log-likelihood that logits give the tokens that really follow.</summary>
internal static class TokenLoss
{
    /// <summary>Mean loss of one window, in nats per predicted token.</summary>
    /// <param name="logits">Logits [length, vocabulary] of the window; the last row predicts nothing.</param>
    /// <param name="ids">The window's token ids.</param>
    /// <param name="vocabulary">Length of a row of logits.</param>
    public static double Mean(ReadOnlySpan<float> logits, ReadOnlySpan<int> ids, int vocabulary)
    {
        float[] scratch = new float[vocabulary];
        double total = 0;
        for (int i = 0; i + 1 < ids.Length; i++)
        {
            total += Loss(logits.Slice(i * vocabulary, vocabulary), ids[i + 1], scratch);
        }

        return total / (ids.Length - 1);
    }

    /// <summary>log(sum of exp(logits)) - logit, by differences to the largest logit, so that large ones lose nothing.</summary>
    private static double Loss(ReadOnlySpan<float> row, int id, Span<float> scratch)
    {
        float max = TensorPrimitives.Max(row);
        TensorPrimitives.Subtract(row, max, scratch);
        TensorPrimitives.Exp(scratch, scratch);
        return (double)max - row[id] + Math.Log(TensorPrimitives.Sum<float>(scratch));
    }
}
